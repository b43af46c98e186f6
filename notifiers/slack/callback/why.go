package callback

import "context"

// why answers who asks why an incident called them, or did not.
func (h *Handler) why(ctx context.Context, c *clicking) answer {
	if h.d.Why == nil {
		return h.told("done", c.sender, "Why is not known here.")
	}
	return h.told("done", c.sender, h.d.Why(ctx, c.inc, c.who.Name)...)
}
