package slack

import (
	"context"
	"fmt"

	slackgo "github.com/slack-go/slack"
)

// InputKind is how a modal asks for something.
type InputKind int

// The kinds of inputs.
const (
	// InputText is one line, InputLines several.
	InputText InputKind = iota
	InputLines
	// InputChoice is one of Options.
	InputChoice
	// InputPerson is a member of the workspace.
	InputPerson
)

// Input is one question of a modal. Its texts are plain.
type Input struct {
	// ID names the block and the element, and so the answer.
	ID    string
	Label string
	Hint  string
	Kind  InputKind
	// Initial is the text, or the value of the option, to begin with.
	Initial string
	// Options are pairs of a value and its text.
	Options [][2]string
	// Max is the longest text, in characters; 0: 3,000.
	Max      int
	Optional bool
}

// Modal is a window that asks one person something
// (https://docs.slack.dev/reference/views/modal-views).
type Modal struct {
	// Callback and Private come back with the answer; Private holds at most 3,000
	// characters.
	Callback, Private string
	// Title and Submit are plain, of at most 24 characters.
	Title, Submit string
	// Lines are mrkdwn, as those of a Reply.
	Lines  []string
	Inputs []Input
}

// maxInput is the longest text that Slack takes in an input.
const maxInput = 3000

// Open shows a modal to the person whose click gave the trigger, within 3 seconds
// of the click. It needs no scope.
func (c *Client) Open(ctx context.Context, trigger string, m Modal) error {
	text := func(s string) *slackgo.TextBlockObject {
		return slackgo.NewTextBlockObject(slackgo.PlainTextType, s, false, false)
	}
	v := slackgo.ModalViewRequest{
		Type: slackgo.VTModal, CallbackID: m.Callback, PrivateMetadata: m.Private,
		Title: text(m.Title), Submit: text(m.Submit), Close: text("Cancel"),
	}
	r := Reply{Lines: m.Lines}
	for _, b := range r.blocks() {
		t := slackgo.NewTextBlockObject(slackgo.MarkdownType, b.Text.Text, false, true)
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, slackgo.NewSectionBlock(t, nil, nil))
	}
	for n := range m.Inputs {
		in := &m.Inputs[n]
		b := slackgo.NewInputBlock(in.ID, text(in.Label), nil, in.element(text))
		if in.Hint != "" {
			b.Hint = text(in.Hint)
		}
		b.Optional = in.Optional
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, b)
	}
	return c.openView(ctx, trigger, v)
}

func (in *Input) element(text func(string) *slackgo.TextBlockObject) slackgo.BlockElement {
	switch in.Kind {
	case InputChoice:
		e := slackgo.NewOptionsSelectBlockElement(slackgo.OptTypeStatic, nil, in.ID)
		for _, o := range in.Options {
			opt := slackgo.NewOptionBlockObject(o[0], text(o[1]), nil)
			e.Options = append(e.Options, opt)
			if o[0] == in.Initial {
				e.InitialOption = opt
			}
		}
		return e
	case InputPerson:
		return slackgo.NewOptionsSelectBlockElement(slackgo.OptTypeUser, nil, in.ID)
	case InputText, InputLines:
	default:
		panic(fmt.Sprintf("no such kind of input: %d", in.Kind))
	}
	e := slackgo.NewPlainTextInputBlockElement(nil, in.ID)
	e.Multiline, e.InitialValue, e.MaxLength = in.Kind == InputLines, in.Initial, in.Max
	if e.MaxLength <= 0 {
		e.MaxLength = maxInput
	}
	return e
}
