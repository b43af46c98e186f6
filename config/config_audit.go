package config

// Audit is where else the audit log is written: it is in the store in any case.
type Audit struct {
	// A file that every record of the audit log is appended to, as a line of JSON.
	// It may be renamed or cut off at any time, as logrotate does: a new one is
	// begun.
	File string `yaml:"file" path:"true" defaultdoc:"none" example:"/var/log/tocsin/audit.jsonl"`
}
