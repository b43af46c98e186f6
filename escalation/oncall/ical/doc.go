// Package ical writes shifts as iCalendar (RFC 5545), and reads and fetches
// calendars from outside: shifts, time off, holidays.
//
// What is read is not trusted. Its size, its events and what they expand to are
// bounded, of the recurrence rules only the plain ones are understood, and an
// event that is not understood is refused whole and named, never guessed at.
//
// Recurrence is counted on the wall clock, like a rotation: a weekly shift that
// ends at 09:00 ends at 09:00 after the clocks changed too. A wall-clock time
// that does not exist is the instant at which the clock jumps; one that exists
// twice is taken the first time.
package ical
