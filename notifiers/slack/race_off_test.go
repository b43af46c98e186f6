//go:build !race

package slack_test

// raceDetector makes everything many times slower.
const raceDetector = false
