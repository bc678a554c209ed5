#!/usr/bin/env python3
"""AWS's advanced Python driver against the simulated cluster: does it take it for Aurora?

It connects through the driver with its plugins, and looks at what the driver itself concluded:
the dialect, the topology, where `read_only` leads, and whether a session survives a crash and a
failover. A cluster is started for each scenario and told over its standard input what to do.

    aws_python_driver.py --server target/release/examples/simulated_cluster --engine postgres
"""

import argparse
import contextlib
import itertools
import os
import re
import subprocess
import sys
import threading
import time
import traceback

from aws_advanced_python_wrapper import AwsWrapperConnection, release_resources
from aws_advanced_python_wrapper.errors import (
    AwsWrapperError,
    FailoverFailedError,
    FailoverSuccessError,
    TransactionResolutionUnknownError,
)

# Generous: a failover of the fast timeline takes less than a second.
LIMIT_SECONDS = 30
POLL_SECONDS = 0.05
# After this the driver gives up by itself; see `Scenario.survives`.
DRIVER_LIMIT_SECONDS = 6

ADDRESS_PATTERN = "127.0.0.?"
NETWORK = "127.0.0."
INSTANCES = ("21", "22", "23")

PLUGINS = {
    "failover": "aurora_connection_tracker,failover,host_monitoring,read_write_splitting",
    "failover_v2": "aurora_connection_tracker,failover_v2,host_monitoring_v2,read_write_splitting",
    "initial_connection": "initial_connection,aurora_connection_tracker,failover_v2,read_write_splitting",
}

SELF = {
    "postgres": "SELECT aurora_db_instance_identifier()",
    "mysql": "SELECT @@aurora_server_id",
}
SCENARIOS = itertools.count()
KEYS = itertools.count(1000)
DIALECT = {"postgres": "AuroraPgDialect", "mysql": "AuroraMysqlDialect"}


class Cluster:
    """A simulated cluster in a process of its own."""

    def __init__(self, server, engine, hosts_file):
        placed = [f"--instance={name}@{NETWORK}{name}" for name in INSTANCES]
        command = [server, "--engine", engine, *placed]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.lines = []
        self.port = None
        for line in self.process.stdout:
            self.lines.append(line)
            url = re.search(r"@([\w.-]+):(\d+)/app", line)
            if url and self.port is None:
                self.endpoint, self.port = url[1], int(url[2])
            if "Ctrl-C" in line:
                break
        if self.port is None:
            raise SystemExit("the simulated cluster did not start:\n" + "".join(self.lines))
        self.domain = None
        if hosts_file:
            self.domain = self.endpoint.split(".cluster-", 1)[1]
            with open(hosts_file, "w") as hosts:
                # The cluster endpoint stays with its first writer, as in a stale DNS cache.
                hosts.write(f"127.0.0.1 localhost\n{NETWORK}21 {self.endpoint}\n")
                for name in INSTANCES:
                    hosts.write(f"{NETWORK}{name} {self.host(name)}\n")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        self.lines.extend(self.process.stdout)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def writer(self):
        """The instance of the last failover that was completed."""
        completed = [line for line in self.lines if "Completed failover" in line]
        return completed[-1].split()[-1]

    def host(self, instance):
        return f"{instance}.{self.domain}" if self.domain else NETWORK + instance

    def stop(self):
        self.process.terminate()
        self.process.wait(LIMIT_SECONDS)


class Scenario:
    def __init__(self, cluster, engine, plugins):
        self.cluster, self.engine = cluster, engine
        self.plugins = plugins
        self.options = {
            "plugins": PLUGINS[plugins],
            "user": "app",
            "password": "app",
            "port": cluster.port,
            "connect_timeout": 5,
            "failover_timeout_sec": DRIVER_LIMIT_SECONDS,
            "monitoring-connect_timeout": 3,
            "topology_refresh_ms": 300,
        }
        if engine == "postgres":
            import psycopg

            self.connect_with = psycopg.Connection.connect
            self.options |= {"dbname": "app", "sslmode": "disable"}
        else:
            import mysql.connector

            self.connect_with = mysql.connector.connect
            # The driver refuses its host monitoring with this library.
            chain = self.options["plugins"].split(",")
            chain = [plugin for plugin in chain if not plugin.startswith("host_monitoring")]
            self.options["plugins"] = ",".join(chain)
            self.options |= {"database": "app", "ssl_disabled": True, "use_pure": True}
        if not cluster.domain:
            self.options["cluster_instance_host_pattern"] = ADDRESS_PATTERN

    def connect(self, host):
        # By this name the driver shares its monitor and what that knows between connections.
        cluster_id = f"scenario-{next(SCENARIOS)}"
        return AwsWrapperConnection.connect(
            self.connect_with, host=host, autocommit=True, cluster_id=cluster_id, **self.options
        )

    def run(self):
        first = self.cluster.endpoint if self.cluster.domain else self.cluster.host("21")
        with contextlib.closing(self.connect(first)) as connection:
            self.sees_aurora(connection, "21")
            self.splits_reads_from_writes(connection)
            ask(connection, "CREATE TABLE notes (id int PRIMARY KEY, note varchar(40))", rows=False)
            ask(connection, "INSERT INTO notes VALUES (1, 'before')", rows=False)
            writer = self.survives(connection, "21", "crash 21")
        # On a connection of its own: the driver's first failover plugin manages one only.
        with contextlib.closing(self.connect(self.cluster.host(writer))) as connection:
            self.sees_aurora(connection, writer)
            ask_at_last(connection, "INSERT INTO notes VALUES (2, 'between')", rows=False)
            writer = self.survives(connection, writer, "failover")
        with contextlib.closing(self.connect(self.cluster.host(writer))) as connection:
            self.sees_aurora(connection, writer)
            ask_at_last(connection, "INSERT INTO notes VALUES (3, 'after')", rows=False)
            notes = ask_at_last(connection, "SELECT id FROM notes WHERE id <= 3 ORDER BY id")
            expect(notes == [(1,), (2,), (3,)], f"rows after both failovers: {notes}")

    def sees_aurora(self, connection, writer):
        """The driver knows the dialect, and sooner or later all instances in their roles."""
        service = connection._plugin_service
        dialect = type(service.database_dialect).__name__
        expect(dialect == DIALECT[self.engine], f"the driver speaks {dialect}")
        wanted = {
            (self.cluster.host(name), "WRITER" if name == writer else "READER")
            for name in INSTANCES
        }
        deadline = time.monotonic() + LIMIT_SECONDS
        hosts = None
        while hosts != wanted:
            expect(time.monotonic() < deadline, f"the driver's topology stays {hosts}")
            service.force_refresh_host_list()
            hosts = {(host.host, host.role.name) for host in service.all_hosts}

    def splits_reads_from_writes(self, connection):
        writer = self.instance_of(connection)
        expect(writer == "21", f"the first connection leads to {writer}")
        connection.read_only = True
        reader = self.instance_of(connection)
        expect(reader in ("22", "23"), f"reads go to {reader}")
        connection.read_only = False
        again = self.instance_of(connection)
        expect(again == writer, f"writes go to {again}")

    def survives(self, connection, old, command):
        """Writes go on after what the cluster is told; returns the new writer."""
        self.cluster.tell(command)
        try:
            self.fails_over(connection, old)
        except FailoverFailedError:
            # Version 3.1 sometimes gives up although the cluster is well: a thread of its monitor
            # whose connection ended at the promotion takes the error for "no writer here" and
            # asks the dead connection for ever. Then a new connection must do.
            print(f"{self.engine} {self.plugins}: the driver gave up after `{command}`", flush=True)
            return self.cluster.writer()
        new = self.instance_of(connection)
        expect(new != old, f"the driver failed over from {old} to itself")
        role = connection._plugin_service.current_host_info.role.name
        expect(role == "WRITER", f"the driver takes {new} for a {role}")
        return new

    def fails_over(self, connection, old):
        """Writes until the driver says that it has switched, and a write succeeds after it."""
        deadline = time.monotonic() + LIMIT_SECONDS
        switched = False
        while time.monotonic() < deadline:
            try:
                key = next(KEYS)
                ask(connection, f"INSERT INTO notes VALUES ({key}, 'during')", rows=False)
            except (FailoverSuccessError, TransactionResolutionUnknownError):
                # Both: it has switched; by the second it cannot tell what became of the write.
                switched = True
                continue
            except AwsWrapperError as error:
                # A running statement is told of an orderly stop, which the driver does not count
                # among lost connections; its next statement finds the connection closed.
                if "1053" not in str(error):
                    raise
            if switched:
                return
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"no failover from {old} within {LIMIT_SECONDS} s")

    def instance_of(self, connection):
        return ask_at_last(connection, SELF[self.engine])[0][0]


def ask(connection, sql, rows=True):
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()] if rows else None


def ask_at_last(connection, sql, rows=True):
    """Asks again while the driver answers that it has just switched.

    That may come at any statement after a failover: the driver may have switched to an instance
    that went down as well, the promoted one before its restart for example.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            return ask(connection, sql, rows)
        except FailoverSuccessError:
            if time.monotonic() > deadline:
                raise


def expect(truth, otherwise):
    if not truth:
        raise AssertionError(otherwise)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, help="the program that runs a cluster")
    parser.add_argument("--engine", required=True, choices=sorted(SELF))
    parser.add_argument("--plugins", nargs="*", default=list(PLUGINS), choices=list(PLUGINS))
    parser.add_argument(
        "--hosts",
        metavar="FILE",
        help="use names in the shape of RDS, written to this hosts file, instead of addresses",
    )
    arguments = parser.parse_args()
    for plugins in arguments.plugins:
        cluster = Cluster(arguments.server, arguments.engine, arguments.hosts)
        began = time.monotonic()
        try:
            Scenario(cluster, arguments.engine, plugins).run()
        except BaseException:
            sys.stderr.write("".join(cluster.lines))
            traceback.print_exc()
            sys.stderr.write(f"FAILED: {arguments.engine} {plugins}\n")
            cluster.stop()
            leave(1)
        cluster.stop()
        print(f"{arguments.engine} {plugins}: passed in {time.monotonic() - began:.1f} s", flush=True)
    release_resources()
    leave(0)


def leave(code):
    """Ends the process now: the driver's monitors may go on asking in threads of their own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
