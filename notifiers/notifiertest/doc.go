// Package notifiertest holds the checks that every provider under notifiers
// must pass: which answers are success, permanent, temporary or a request to
// slow down; that no secret is in an error; that the context is kept to; that
// the same notice twice is one thing at the provider.
package notifiertest
