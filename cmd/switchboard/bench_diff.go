package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/bench/diff"
	"github.com/switchboard-go/switchboard/internal/bench/report"
)

// A diffing is what the flags of bench diff ask for.
type diffing struct {
	json    bool
	ifWorse float64
}

func diffCommand() *cobra.Command {
	var d diffing
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Compare saved results, and report significant differences",
		Long: `Compare results of bench --json, and report for each figure whether the difference is significant.

OLD and NEW are files, or several files separated by commas. With five or more files on each side each run is a sample. With fewer
files the samples are intervals of the runs: then other work on the machine during one of the runs also counts as a difference.

The test is the rank-sum test of Mann and Whitney, which makes no assumption about the distribution. A difference is significant if
its probability by chance is less than 1 in 100 between runs, or 1 in 1000 between intervals.

Exit codes: 0 for success, 1 if a file cannot be read or, with --fail-if-worse, a figure is worse, 2 for wrong arguments.`,
		Example: `  switchboard bench --json 127.0.0.1:7007 >old.json
  switchboard bench diff old.json new.json
  switchboard bench diff --fail-if-worse 5 old1.json,old2.json new1.json,new2.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("needs two arguments, OLD and NEW, not %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE:              func(cmd *cobra.Command, args []string) error { return d.run(cmd, args) },
	}
	cmd.Flags().BoolVar(&d.json, "json", false, "print the result as JSON")
	cmd.Flags().Float64Var(&d.ifWorse, "fail-if-worse", 0, "fail if a figure is significantly worse by more than `PERCENT`")
	return cmd
}

func (d *diffing) run(cmd *cobra.Command, args []string) error {
	if d.ifWorse < 0 {
		return errors.New("--fail-if-worse cannot be negative")
	}
	var sides [2][]*bench.Result
	for i, names := range args {
		for name := range strings.SplitSeq(names, ",") {
			r, err := diff.Read(name)
			if err != nil {
				return failure{exitFailed, err}
			}
			sides[i] = append(sides[i], r)
		}
	}
	result, err := diff.Compare(sides[0], sides[1])
	if err != nil {
		return failure{exitFailed, err}
	}
	if d.json {
		err = report.JSON(os.Stdout, result)
	} else {
		err = result.Text(os.Stdout)
	}
	if err != nil {
		return failure{exitFailed, err}
	}
	if !cmd.Flags().Changed("fail-if-worse") {
		return nil
	}
	var worse []string
	for _, row := range result.Rows {
		if row.Verdict == diff.Worse && max(row.Change, -row.Change) > d.ifWorse {
			worse = append(worse, fmt.Sprintf("%s by %+.1f%%", row.Metric, row.Change))
		}
	}
	if len(worse) > 0 {
		return failure{exitFailed, fmt.Errorf("worse: %s", strings.Join(worse, ", "))}
	}
	return nil
}
