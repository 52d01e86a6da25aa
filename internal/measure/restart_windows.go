package main

import "errors"

func askToRestart(int) error { return errors.ErrUnsupported }
