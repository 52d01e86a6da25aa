package main

import (
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how many columns help may have.
const helpWidth = 80

// helpCommand is cobra's, but for a command that does not exist, which is an error.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Show the help of a command",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
			if cmd, rest, err := root.Find(args); err == nil && len(rest) == 0 {
				for _, c := range cmd.Commands() {
					if c.IsAvailableCommand() {
						all = append(all, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil {
				err = noArgs(cmd, rest)
			}
			if err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// wrapHelp has the help of a command, and of those below it, fit a terminal.
func wrapHelp(root *cobra.Command) {
	cobra.AddTemplateFunc("wrapFlags", func(flags *pflag.FlagSet) string { return flags.FlagUsagesWrapped(helpWidth) })
	cobra.AddTemplateFunc("wrapText", wrapText)
	cobra.AddTemplateFunc("hang", func(text string, column int) string {
		const before, after = 2, 1
		return strings.Join(fill(strings.Fields(text), helpWidth-before-column-after), "\n"+strings.Repeat(" ", before+column+after))
	})
	wrapExamples(root)
	template := root.UsageTemplate()
	template = strings.ReplaceAll(template, ".LocalFlags.FlagUsages", "wrapFlags .LocalFlags")
	template = strings.ReplaceAll(template, ".InheritedFlags.FlagUsages", "wrapFlags .InheritedFlags")
	template = strings.ReplaceAll(template, "{{.Short}}", "{{hang .Short .NamePadding}}")
	template = strings.ReplaceAll(template, "for more information about a command", "for more about a command")
	root.SetUsageTemplate(template)
	root.SetHelpTemplate(`{{with (or .Long .Short)}}{{. | wrapText | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`)
}

// wrapText fills the paragraphs of a text to the width of help. A line that begins with a space or is followed by one that
// does stays as it is, if it fits.
func wrapText(text string) string {
	var out []string
	var words []string
	flush := func() {
		if len(words) > 0 {
			out = append(out, fill(words, helpWidth)...)
			words = nil
		}
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		fixed := strings.HasPrefix(line, " ")
		switch {
		case line == "":
			flush()
			out = append(out, "")
		case fixed:
			flush()
			if utf8.RuneCountInString(line) > helpWidth {
				indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
				hang := len(indent) + 4
				if name, about, ok := strings.Cut(line[len(indent):], "  "); ok { // two columns
					hang = len(line) - len(strings.TrimLeft(about, " "))
					indent, line = indent+name+strings.Repeat(" ", hang-len(indent)-len(name)), about
				}
				line = indent + strings.Join(fill(strings.Fields(line), helpWidth-hang), "\n"+strings.Repeat(" ", hang))
			}
			out = append(out, line)
		default:
			words = append(words, strings.Fields(line)...)
			if i+1 < len(lines) && strings.HasPrefix(lines[i+1], " ") || strings.HasSuffix(line, ":") && len(line) < helpWidth/2 {
				flush()
			}
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// fill joins words to lines of a width.
func fill(words []string, width int) (lines []string) {
	line := ""
	for _, word := range words {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// wrapExamples breaks the examples of a command, and of those below it, as a shell reads them: with a backslash, and not
// between quotes.
func wrapExamples(cmd *cobra.Command) {
	var lines []string
	for line := range strings.Lines(cmd.Example) {
		lines = append(lines, wrapCommand(strings.TrimSuffix(line, "\n")))
	}
	cmd.Example = strings.Join(lines, "\n")
	for _, c := range cmd.Commands() {
		wrapExamples(c)
	}
}

func wrapCommand(line string) string {
	const room = 2 // for the backslash
	if utf8.RuneCountInString(line) <= helpWidth {
		return line
	}
	quoted, space := false, 0
	for i, c := range line {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == ' ' && !quoted && i <= helpWidth-room && strings.TrimSpace(line[:i]) != "":
			space = i
		}
	}
	if space == 0 {
		return line
	}
	return line[:space] + " \\\n" + wrapCommand("      "+line[space+1:])
}
