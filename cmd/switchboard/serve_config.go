package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A configFile is the file that says what flags can.
type configFile struct {
	path  string
	check bool              // only look whether all is well
	texts map[string]string // the values of the flags, once the file is read

	// instead is called in place of serving, when everything is checked and before anything is opened. nil: serve.
	instead func(g loopService) error
}

func (f *configFile) add(flags *pflag.FlagSet) {
	flags.StringVarP(&f.path, "config", "c", "", "`FILE` (TOML) that says what flags can: service = \"echo\", and each flag by its name;\n"+
		"the command line goes before it")
	flags.BoolVar(&f.check, "check", false, "only look whether flags, files and addresses are good, and serve nothing")
}

// notInFile are the flags that only the command line can have.
var notInFile = []string{"config", "check", "help", "worker"}

// read reads the file, for a command whose flags are parsed.
func (f *configFile) read(cmd *cobra.Command) (err error) {
	defer func() {
		f.texts = map[string]string{}
		cmd.Flags().VisitAll(func(flag *pflag.Flag) { f.texts[flag.Name] = flag.Value.String() })
		if err == nil && f.instead != nil {
			err = checkFiles(cmd.Flags())
		}
	}()
	if f.path == "" {
		return nil
	}
	values, err := f.decode()
	if err != nil {
		return err
	}
	if name, ok := values["service"]; ok && name != cmd.Name() {
		return fmt.Errorf("--config %s: its service is %v, and the command line's is %s", f.path, name, cmd.Name())
	}
	delete(values, "service")
	for name, value := range values {
		if err := set(cmd, name, value); err != nil {
			return fmt.Errorf("--config %s: %s: %w", f.path, name, plainNumber(err))
		}
	}
	return nil
}

// decode returns what the file says.
func (f *configFile) decode() (values map[string]any, err error) {
	if f.instead != nil {
		err = checkRegular(f.path)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(f.path)
	}
	if err != nil {
		return nil, failure{exitFailed, fmt.Errorf("--config: %w", err)}
	}
	if err := toml.Unmarshal(text, &values); err != nil {
		if where, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, fmt.Errorf("--config %s:%d: %s", f.path, where.Position.Line, where.Message)
		}
		return nil, fmt.Errorf("--config %s: %w", f.path, err)
	}
	return values, nil
}

// run runs the command of the service that the file names.
func (f *configFile) run(serve *cobra.Command) error {
	values, err := f.decode()
	if err != nil {
		return err
	}
	name, ok := values["service"].(string)
	if !ok {
		return fmt.Errorf("--config %s: it does not say which service (service = \"echo\")", f.path)
	}
	for _, cmd := range serve.Commands() {
		if cmd.Name() != name {
			continue
		}
		err := cmd.ParseFlags(nil) // so that it knows those of serve
		if err == nil {
			err = f.read(cmd)
		}
		if err == nil {
			err = cmd.RunE(cmd, nil)
		}
		return err
	}
	return fmt.Errorf("--config %s: there is no service %q", f.path, name)
}

// set gives a flag the value of the file, unless the command line has given it one.
func set(cmd *cobra.Command, name string, value any) error {
	flag := cmd.Flags().Lookup(name)
	if flag == nil || slices.Contains(notInFile, name) {
		return unknownKey(cmd, name)
	}
	if flag.Changed {
		return nil
	}
	all, isList := value.([]any)
	if !isList {
		all = []any{value}
	}
	var texts []string
	for _, v := range all {
		text, err := textOf(v)
		if err != nil {
			return err
		}
		texts = append(texts, text)
	}
	switch list, takesList := flag.Value.(pflag.SliceValue); {
	case takesList && len(texts) == 0:
		return list.Replace([]string{})
	case takesList:
		if err := cmd.Flags().Set(name, texts[0]); err != nil {
			return err
		}
		return list.Replace(texts)
	case isList:
		return errors.New("one value is expected, and not a list")
	}
	return cmd.Flags().Set(name, texts[0])
}

// textOf writes a value as the command line has it.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case bool:
		return strconv.FormatBool(v), nil
	case time.Time, map[string]any, []map[string]any, []any:
		return "", errors.New("a text, a number, true or false is expected, or a list of them")
	}
	return "", fmt.Errorf("a %T is not expected", v)
}

// unknownKey is for what no flag is called. It names the one that is spelt most like it.
func unknownKey(cmd *cobra.Command, name string) error {
	if slices.Contains(notInFile, name) {
		return errors.New("that is for the command line")
	}
	near, least := "", 3
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if d := distance(name, flag.Name); d < least && !slices.Contains(notInFile, flag.Name) {
			near, least = flag.Name, d
		}
	})
	if near != "" {
		return fmt.Errorf("serve %s has no such flag, did you mean %s?", cmd.Name(), near)
	}
	return fmt.Errorf("serve %s has no such flag", cmd.Name())
}

// distance returns how many letters must be inserted, left out or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := before
			if a[i] != b[j] {
				changed++
			}
			before = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
