package escalation

// Retired is retired, for tests.
var Retired = retired

// Forget empties what the engine has decoded, as a restart does.
func (e *Engine) Forget() {
	e.lib.mu.Lock()
	defer e.lib.mu.Unlock()
	clear(e.lib.policies)
}
