// Package email sends incidents by mail, over SMTP (RFC 5321).
//
// One incident is one thread at one target: the first mail's Message-ID is made
// of the incident and the target, later ones answer it (In-Reply-To,
// References) under the same subject. A mail is sent when the incident opens,
// when its state changes, and when somebody is to be called again. That a
// resolved incident fires again is mailed to a person when it is that person's
// turn, and not before.
//
// A mail that was sent once cannot be changed or looked up, so a repeat after an
// unclear outcome bears the Message-ID of the first try: servers and programs
// that drop equal Message-IDs show it once, the others twice. News is not given
// the Message-ID of an older mail; to know of a raised severity after an unclear
// first mail, the target needs its events (notifiers.Target.Thread).
//
// go-mail composes the mails, and its SMTP client speaks to the server. Its
// high-level client is not used: it does not end with a context once it has
// dialled, does not put TLS on a connection of ours, leaves connections open
// when a login fails, and reports a failure of what follows a mail that was
// accepted (RSET) as a failure of the mail.
package email
