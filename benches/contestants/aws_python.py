#!/usr/bin/env python3
"""AWS's driver for Python under the load of the failover suite; `cargo bench --bench failover` starts it.

Each thread has a connection of its own to the cluster endpoint (readers: to the reader endpoint), as the
driver has no pool. After an error that says that the driver has switched to another instance the thread
goes on with its connection; after any other error it opens a new one. It talks with the suite as
`benches/failover/load.rs` says.
"""

import argparse
import itertools
import os
import sys
import threading
import time

from aws_advanced_python_wrapper import AwsWrapperConnection
from aws_advanced_python_wrapper.errors import (
    FailoverSuccessError,
    TransactionResolutionUnknownError,
)

CALL_INTERVAL_SECONDS = 0.005
# A failed connect is tried again after so long, so that a refusing port costs no processor.
RECONNECT_SECONDS = 0.01
STOP_SECONDS = 0.5

INSERT = "INSERT INTO numbers (number) VALUES (%s)"
COUNT = "SELECT count(*) FROM numbers"

# The lowest that makes sense, or that the driver takes: whole seconds, whole milliseconds.
AGGRESSIVE = {
    "connect_timeout": 1,
    "monitoring-connect_timeout": 1,
    "auxiliary_query_timeout_sec": 1,
    "failure_detection_time_ms": 100,
    "failure_detection_interval_ms": 100,
    "failure_detection_count": 1,
    "topology_refresh_ms": 100,
    "cluster_topology_high_refresh_rate_ms": 10,
}

SWITCHED = (FailoverSuccessError, TransactionResolutionUnknownError)


def micros():
    return time.time_ns() // 1000


class Load:
    def __init__(self, flags):
        self.flags = flags
        self.numbers = itertools.count(1)
        # [kind, number, began, sent, ended, result], changed in place; appending is atomic.
        self.notes = []
        self.stopped = threading.Event()
        self.options = {
            "user": flags.user,
            "password": flags.password,
            "port": flags.port,
            "autocommit": True,
        }
        if flags.engine == "postgres":
            import psycopg

            self.target = psycopg.Connection.connect
            self.options |= {"dbname": flags.database, "sslmode": "disable"}
        else:
            import mysql.connector

            self.target = mysql.connector.connect
            self.options |= {"database": flags.database, "ssl_disabled": True, "use_pure": True}
        if flags.settings == "aggressive":
            self.options |= AGGRESSIVE
            if flags.engine == "mysql":
                # The driver has no host monitoring with this library; only this finds a silent host.
                self.options["socket_timeout"] = 1
                self.options["connection_timeout"] = self.options.pop("connect_timeout")
                self.options["monitoring-connection_timeout"] = self.options.pop(
                    "monitoring-connect_timeout"
                )

    def connect(self, host):
        return AwsWrapperConnection.connect(self.target, host=host, **self.options)

    def work(self, kind, host):
        connection = None
        while not self.stopped.is_set():
            began = time.monotonic()
            number = next(self.numbers) if kind == "w" else 0
            note = [kind, number, micros(), None, None, "hangs"]
            self.notes.append(note)
            try:
                if connection is None:
                    connection = self.connect(host)
                note[3] = micros()
                with connection.cursor() as cursor:
                    if kind == "w":
                        cursor.execute(INSERT, (number,))
                    else:
                        cursor.execute(COUNT)
                        cursor.fetchall()
                note[5] = "ok"
            except SWITCHED:
                note[5] = "failover"
            except Exception as error:
                note[5] = type(error).__name__
                if self.flags.verbose:
                    print(kind, error, file=sys.stderr)
                connection = self.without(connection)
                self.stopped.wait(RECONNECT_SECONDS)
            note[4] = micros()
            left = began + CALL_INTERVAL_SECONDS - time.monotonic()
            if left > 0:
                time.sleep(left)

    def without(self, connection):
        """Closing may hang where the host is silent, so nobody waits for it."""
        if connection is not None:
            threading.Thread(target=close, args=(connection,), daemon=True).start()
        return None

    def run(self):
        flags = self.flags
        threads = [
            threading.Thread(target=self.work, args=("w", flags.endpoint), daemon=True)
            for _ in range(flags.writers)
        ] + [
            threading.Thread(target=self.work, args=("r", flags.reader_endpoint), daemon=True)
            for _ in range(flags.readers)
        ]
        print("ready", flush=True)
        for thread in threads:
            thread.start()
        sys.stdin.readline()
        self.stopped.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        for kind, number, began, sent, ended, result in list(self.notes):
            # A note may be between its result and its end.
            result = result if ended else "hangs"
            print(kind, number, began, sent or "-", ended or "-", result)
        print("end", flush=True)


def close(connection):
    try:
        connection.close()
    except Exception:
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", choices=["default", "aggressive"], required=True)
    parser.add_argument("--engine", choices=["postgres", "mysql"], required=True)
    for name in ["--endpoint", "--reader-endpoint", "--user", "--password", "--database"]:
        parser.add_argument(name, required=True)
    for name in ["--port", "--writers", "--readers"]:
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--verbose", action="store_true", help="tell each error")
    Load(parser.parse_args()).run()
    # The driver's monitors would keep the process alive.
    os._exit(0)


if __name__ == "__main__":
    main()
