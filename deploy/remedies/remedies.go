// Package remedies holds the remedies that are shipped: scripts that operators
// install and declare, and that `tocsin demo` really runs. docs/remediation.md says
// how; each says at its top what it does, and its exit codes.
package remedies

import "embed"

// Files holds the scripts.
//
//go:embed restart-node reconnect-peers prune-database scale-deployment rollback-deployment
var Files embed.FS
