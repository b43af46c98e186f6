package server

import "bytes"

// cursor walks JSON that is known to be valid, so that no step can fail. The
// caller looks at kind before it reads a value.
type cursor struct {
	b []byte
	i int
	// escape is where the first backslash at or behind the last string is: most
	// strings need no second look.
	escape int
	// plain is whether the last string has no escapes.
	plain bool
}

// kind is the first byte of the value that the cursor stands before: one of
// {["tfn- or a digit.
func (c *cursor) kind() byte { return c.b[c.i] }

func (c *cursor) space() {
	for c.b[c.i] <= ' ' {
		c.i++
	}
}

// open steps into an object or array and reports whether it has a first
// element; where it has none, the cursor has stepped over it.
func (c *cursor) open() bool {
	c.i++
	c.space()
	if c.b[c.i] == '}' || c.b[c.i] == ']' {
		c.i++
		return false
	}
	return true
}

// next steps from behind one element to the next, or out of the object or
// array.
func (c *cursor) next() bool {
	c.space()
	c.i++
	if c.b[c.i-1] != ',' {
		return false
	}
	c.space()
	return true
}

// key reads a member's name, as quoted does, and steps before its value.
func (c *cursor) key() []byte {
	k := c.quoted()
	c.space()
	c.i++
	c.space()
	return k
}

// quoted reads a string and returns it with its quotes and escapes; plain tells
// whether it has any.
func (c *cursor) quoted() []byte {
	start := c.i
	end := start + 1 + bytes.IndexByte(c.b[start+1:], '"')
	if c.escape < start {
		c.escape = len(c.b)
		if n := bytes.IndexByte(c.b[start:], '\\'); n >= 0 {
			c.escape = start + n
		}
	}
	c.plain = c.escape > end
	if !c.plain {
		end = c.closing(c.escape)
	}
	c.i = end + 1
	return c.b[start:c.i]
}

// closing finds the quote that ends the string, from a place within it.
func (c *cursor) closing(i int) int {
	for c.b[i] != '"' {
		if c.b[i] == '\\' {
			i++ // what follows is escaped
		}
		i++
	}
	return i
}

// scalar reads a number or a literal.
func (c *cursor) scalar() []byte {
	start := c.i
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return c.b[start:c.i]
		}
		c.i++
	}
	return c.b[start:]
}

// skip steps over any value.
func (c *cursor) skip() {
	switch c.kind() {
	case '"':
		c.quoted()
	case '{', '[':
		c.skipNested()
	default:
		c.scalar()
	}
}

func (c *cursor) skipNested() {
	depth := 0
	for {
		switch c.b[c.i] {
		case '"':
			c.quoted()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		c.i++
		if depth == 0 {
			return
		}
	}
}
