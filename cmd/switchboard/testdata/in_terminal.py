"""Run a command at a terminal of its own, print what it prints there, and its exit code."""
import os
import pty
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
output = b""
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:  # EIO: the command has closed its side
        break
    if not data:
        break
    output += data
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(output)
print("exit code", os.waitstatus_to_exitcode(status))
