// Package scenarios has no code but tests: whole scenarios of the root package, which use nothing that it does not export,
// against package net, programs that nobody here wrote, and processes that are stopped or killed.
package scenarios
