package command

// Word is what a test may know of a command.
type Word struct {
	Name, Says            string
	Also, Usage, Examples []string
}

// Words are all commands.
func Words() []Word {
	var out []Word
	for _, c := range commands() {
		out = append(out, Word{c.name, c.says, c.also, c.usage, c.examples})
	}
	return out
}

// Wall is wall.
var Wall = wall
