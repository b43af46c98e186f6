package client

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
)

// maxParts bounds what a server that never comes to an end is asked.
const maxParts = 1000

// all returns a list that is told part by part. name is what the answers call it.
func all[T any](ctx context.Context, c *Client, path, name string, q url.Values) ([]T, error) {
	list := []T{}
	for range maxParts {
		var answer map[string]json.RawMessage
		if err := c.Get(ctx, path+"?"+q.Encode(), &answer); err != nil {
			return nil, err
		}
		var part []T
		if err := json.Unmarshal(answer[name], &part); err != nil {
			return nil, err
		}
		list = append(list, part...)
		if answer["next"] == nil {
			break
		}
		var next string
		if err := json.Unmarshal(answer["next"], &next); err != nil {
			return nil, err
		}
		q = maps.Clone(q)
		if q == nil {
			q = url.Values{}
		}
		q.Set("after", next)
	}
	return list, nil
}
