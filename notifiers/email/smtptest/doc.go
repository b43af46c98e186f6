// Package smtptest is a mail server for tests and demos: SMTP with STARTTLS or
// implicit TLS, AUTH PLAIN and LOGIN, greylisting, and a mailbox for each
// recipient, over go-smtp. It answers as a real server does, and fails on
// request (Server.Fault).
//
// It serves a net.Listener, or, with Server.Dial, connections without a socket
// that work inside a testing/synctest bubble.
package smtptest
