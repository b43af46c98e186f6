//go:build race

package bolt_test

// checked says that pointers are checked (checkptr, which comes with the race
// detector): where bbolt reads a page that was overwritten, that ends the program,
// and is not to be caught.
const checked = true
