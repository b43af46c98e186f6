package bolt

// heap is a binary heap that keeps the least item first. Unlike that of package
// container/heap it moves no item through an interface, so that items of more
// than a word need no allocation.
type heap[T any] struct {
	items []T
	less  func(a, b T) bool
	// placed, where not nil, is told the place of an item, counted from 1; 0: it
	// was taken out.
	placed func(item T, at int)
}

func (h *heap[T]) put(n int, item T) {
	h.items[n] = item
	if h.placed != nil {
		h.placed(item, n+1)
	}
}

// push adds an item.
func (h *heap[T]) push(item T) {
	h.items = append(h.items, item)
	h.up(len(h.items)-1, item)
}

// remove takes out the item at place n, counted from 0.
func (h *heap[T]) remove(n int) {
	var none T
	last := len(h.items) - 1
	gone, moved := h.items[n], h.items[last]
	h.items[last] = none
	h.items = h.items[:last]
	if n < last {
		h.items[n] = moved
		h.fix(n)
	}
	if h.placed != nil {
		h.placed(gone, 0)
	}
}

// fix puts the item at place n, which has changed, where it belongs.
func (h *heap[T]) fix(n int) {
	item := h.items[n]
	if n > 0 && h.less(item, h.items[(n-1)/2]) {
		h.up(n, item)
	} else {
		h.down(n, item)
	}
}

// up puts item at the free place n or above it.
func (h *heap[T]) up(n int, item T) {
	for n > 0 {
		parent := (n - 1) / 2
		if !h.less(item, h.items[parent]) {
			break
		}
		h.put(n, h.items[parent])
		n = parent
	}
	h.put(n, item)
}

// down puts item at the free place n or below it.
func (h *heap[T]) down(n int, item T) {
	for {
		child := 2*n + 1
		if child >= len(h.items) {
			break
		}
		if child+1 < len(h.items) && h.less(h.items[child+1], h.items[child]) {
			child++
		}
		if !h.less(h.items[child], item) {
			break
		}
		h.put(n, h.items[child])
		n = child
	}
	h.put(n, item)
}
