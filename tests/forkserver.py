"""Starts `lamol` and `dvc` in a hundredth of a second: forks of a process that imported them once.

Most of a stage on a tiny model is the import of torch. `fork_server()` gives a folder to put first
on PATH: its `lamol` and `dvc` hand their arguments, environment, folder and open files to the
server, which forks a child that runs the same entry point as the real command. Code and variables
that are read at import (caches, threads) are those of the server's start: whoever changes them
later needs the real commands, or a server of their own.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import logging
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

IMPORTED = [
    "accelerate", "torch", "transformers", "transformers.models.llama.modeling_llama",
    "datasketch", "pandas", "pyarrow.parquet", "sklearn.linear_model",
    "dvc.cli.parser", "dvc.repo.reproduce", "networkx", "pyparsing",
]  # fmt: skip
"""What the server imports beside the commands: all that takes them long."""

CLIENT = """\
#!{python} -SE
import array, json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
files = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
server.sendmsg([len(asked).to_bytes(8, "big")], files)
server.sendall(asked)
child = int.from_bytes(server.recv(8, socket.MSG_WAITALL), "big")
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(child, number))
ended = server.recv(1)
sys.exit(ended[0] if ended else 137)
"""


@contextmanager
def fork_server(python: str = sys.executable, **changes: str) -> Iterator[Path]:
    """The folder of the two commands of a Python, whose environment is this one's with changes."""
    with tempfile.TemporaryDirectory(prefix="lamol-commands-") as name:
        folder = Path(name)
        address = folder / "socket"
        with subprocess.Popen(
            [python, "-P", __file__, str(address)], env=os.environ | changes, stdout=subprocess.PIPE
        ) as server:
            try:
                assert server.stdout is not None and server.stdout.readline() == b"ready\n"
                for command in ("lamol", "dvc"):
                    write_client(folder / command, address)
                yield folder
            finally:
                server.kill()


def write_client(command: Path, address: Path) -> None:
    text = CLIENT.format(python=os.path.realpath(sys.executable), address=str(address))
    command.write_text(text, encoding="utf-8")
    command.chmod(0o755)


def serve(address: str) -> None:
    """Import everything, then fork a child for each connection."""
    from stages.guard import quiet_libraries

    quiet_libraries()  # before they are imported, as in the real command
    logging.root.handlers.clear()  # the real dvc has no handler there
    import stages

    commands = (module.name for module in pkgutil.iter_modules(stages.__path__, "stages."))
    for name in (*IMPORTED, *commands):
        importlib.import_module(name)

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    listening.settimeout(5)
    parent = os.getppid()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while os.getppid() == parent:
        try:
            client, _ = listening.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listening.close()
            code = run_child(client)
            sys.stdout.flush()
            sys.stderr.flush()
            client.sendall(bytes([code]))
            os._exit(0)
        client.close()


def run_child(client: socket.socket) -> int:
    """Become the command that a client asks for; gives its exit code."""
    for number, handler in (
        (signal.SIGCHLD, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        signal.signal(number, handler)
    size, files, *_ = client.recvmsg(8, socket.CMSG_LEN(3 * array.array("i").itemsize))
    fds = array.array("i")
    fds.frombytes(files[0][2])
    client.sendall(os.getpid().to_bytes(8, "big"))
    asked = client.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
    argv, folder, environment = json.loads(asked)
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
        os.close(fd)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = argv
    try:
        return run_command(Path(argv[0]).name, argv[1:])
    except SystemExit as ended:
        return exit_code(ended.code)
    except KeyboardInterrupt:
        return 130
    except BaseException:
        traceback.print_exc()
        return 1


def run_command(name: str, arguments: list[str]) -> int:
    if name == "dvc":
        from dvc.cli import main

        return exit_code(main(arguments))
    from stages.cli import app

    app(arguments)
    return 0


def exit_code(code: Any) -> int:
    if code is None or isinstance(code, int):
        return (code or 0) % 256
    sys.stderr.write(f"{code}\n")
    return 1


if __name__ == "__main__":
    serve(sys.argv[1])
