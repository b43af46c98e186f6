// Package client speaks Tocsin's API, as tocsin's own command line does. What the
// paths and the bodies are is said by /api/v1/openapi.yaml.
package client
