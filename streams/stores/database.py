"""A database that is set up and ready: SQLite in a file by default, PostgreSQL by URL. Faults in one line each.

    database = open_database("sqlite:///ews-data/cases.db")
    with database.write() as connection: ...

A wrong URL, a path that cannot be used or a database of a newer release is Misconfigured; a database that is away,
locked or full is Unavailable, and the transaction that met it has changed nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import StaticPool
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from streams.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from sqlalchemy import URL

BUSY_SECONDS = 30
"""How long a writer of SQLite waits for another one to finish."""
CONNECT_SECONDS = 10
OWNER_ALONE = 0o600
MIGRATION_LOCK = 4_919_216_301
"""Key of PostgreSQL's advisory lock, any fixed number that no other program uses."""


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables that belong together: their migrations, and the setting that says where they are."""

    migrations: str
    """Directory beside this file."""
    version_table: str
    """Its own for each, so that one PostgreSQL database may hold several."""
    setting: str
    file: str
    """A file's name, for examples."""
    private: bool = False
    """A new file is readable for its owner alone."""


CASES = Schema("migrations", "alembic_version", "EWS_DATABASE_URL", "cases.db")
"""Cases, messages, audit trail: everything but persons."""
CONTACTS = Schema("contact_migrations", "contacts_version", "EWS_CONTACTS_URL", "contacts.db", private=True)
"""How borrowers are reached."""


class Database:
    """An engine, and the two ways to use it. Threads may share one."""

    def __init__(self, engine: Engine, schema: Schema = CASES) -> None:
        self.engine = engine
        self.schema = schema
        self._writer = engine.execution_options(ews_begin="BEGIN IMMEDIATE")

    @property
    def name(self) -> str:
        """Where it is, without a password; the options of the connection may hold another one."""
        return self.engine.url.set(query={}).render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed at the end. SQLite takes its write lock at the start: no deadlocks."""
        with self._faults(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._faults(), self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            yield connection

    def scrub(self) -> bool:
        """Let nothing of what was erased stay in SQLite's write-ahead log. False if a reader still needs it."""
        if self.engine.dialect.name != "sqlite":
            return True
        connection = self.engine.raw_connection()
        try:
            busy, *_ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
        return not busy

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, PoolTimeoutError) as away:
            raise Unavailable(f"the database {self.name} cannot be used now: {_first_line(away)}") from away
        except DBAPIError as fault:
            # SQLite says of a file that is broken or none of its own only that it is an error.
            if not fault.connection_invalidated and type(fault) is not DatabaseError:
                raise
            raise Unavailable(f"the database {self.name} cannot be used: {_first_line(fault)}") from fault

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_database(url: str, schema: Schema = CASES, *, create: bool = True, connections: int | None = None) -> Database:
    """The database at `url`, its tables brought up to this release. Two processes may do this at the same time.

    Without `create`, a file that is not there is a mistake and stays absent. `connections` is how many are held and
    used at most; a process with as many threads never has one wait for another's.
    """
    database = connect(url, schema, create=create, connections=connections)
    try:
        if not _is_current(database):
            migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def connect(url: str, schema: Schema = CASES, *, create: bool = True, connections: int | None = None) -> Database:
    """The database at `url` as it is."""
    where = _checked(url, schema)
    if where.get_backend_name() == "sqlite":
        if not create and where.database and not Path(where.database).exists():
            raise Misconfigured(f"there is no database {where.database}: set {schema.setting}, or start what fills it")
        return Database(_sqlite(where, schema, connections), schema)
    # Without the encoding, a server that was set up in the C locale answers in bytes.
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8"}
    return Database(_engine(where, arguments, pool_pre_ping=True, **_pool(connections)), schema)


def _pool(connections: int | None) -> dict[str, Any]:
    """Of a fixed size, or (None) SQLAlchemy's own: five that stay and ten that come and go."""
    return {} if connections is None else {"pool_size": connections, "max_overflow": 0}


def migrate(database: Database, revision: str = "head", *, down: bool = False) -> None:
    """Bring the tables up (or down) to `revision`, in one transaction and under a lock."""
    config = _scripts(database.schema)
    try:
        with database.write() as connection:
            _lock(connection)
            config.attributes["connection"] = connection
            config.attributes["version_table"] = database.schema.version_table
            (command.downgrade if down else command.upgrade)(config, revision)
    except CommandError as unknown:
        raise Misconfigured(
            f"the tables of {database.name} are not of this release ({unknown}): start the release that wrote them"
        ) from unknown
    except Unavailable as fault:
        raise _at_start(database, fault) from fault


def _scripts(schema: Schema) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / schema.migrations).replace("%", "%%"))
    return config


def _is_current(database: Database) -> bool:
    """Whether there is nothing to migrate, asked without any lock."""
    version = {"version_table": database.schema.version_table}
    try:
        with database.read() as connection:
            found = MigrationContext.configure(connection, opts=version).get_current_revision()
    except Unavailable as fault:
        raise _at_start(database, fault) from fault
    return found == ScriptDirectory.from_config(_scripts(database.schema)).get_current_head()


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})


def _checked(url: str, schema: Schema) -> URL:
    how = f"{schema.setting} must be sqlite:///path/to/{schema.file} or postgresql://user:password@host:5432/database"
    if url.startswith(("postgres://", "postgresql://")):
        url = "postgresql+psycopg://" + url.split("://", 1)[1]
    try:
        where = make_url(url)
        driver = where.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
        raise Misconfigured(how) from None
    if driver.name not in {"sqlite", "postgresql"}:
        raise Misconfigured(how)
    return where


def _sqlite(where: URL, schema: Schema, connections: int | None) -> Engine:
    memory = where.database in {None, "", ":memory:"}
    if not memory:
        _make_room(Path(str(where.database)), schema)
    arguments: dict[str, Any] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    pool = {"poolclass": StaticPool} if memory else _pool(connections)
    engine = _engine(where, arguments, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _engine(where: URL, arguments: dict[str, Any], **options: Any) -> Engine:
    """Texts and ciphertexts are parameters of statements, and errors show none."""
    return create_engine(where, connect_args=arguments, hide_parameters=True, **options)


def _make_room(path: Path, schema: Schema) -> None:
    if path.is_dir():
        raise Misconfigured(f"{path} is a directory: let {schema.setting} name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if schema.private and not path.exists():
            path.touch(OWNER_ALONE)  # The files that SQLite puts beside it take over the rights of this one.
    except OSError as fault:
        raise Misconfigured(f"{path} cannot be made ({fault.strerror}): change {schema.setting}") from fault


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # The driver would begin transactions by itself, too late for the lock.
    _use_wal(connection)
    # What is deleted or overwritten is zeroed in the file: erased persons and notes leave no trace.
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


# SQLite does not wait for the lock that the change of mode needs: of several that open a new file, the others fail at
# once ("database is locked", whatever the timeout). The mode is kept in the file, so one success is enough for all.
@retry(
    retry=retry_if_exception(lambda fault: "locked" in str(fault)),
    wait=wait_random(0.01, 0.1),
    stop=stop_after_delay(BUSY_SECONDS),
    reraise=True,
)
def _use_wal(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode not in {"wal", "memory"}:
        connection.execute("PRAGMA journal_mode=WAL").close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("ews_begin", "BEGIN"))


def _at_start(database: Database, fault: Unavailable) -> Misconfigured | Unavailable:
    """At the start, what waiting will not mend is a mistake in the setting."""
    said = str(fault).lower()
    lasting = (
        "unable to open",
        "readonly",
        "permission",
        "authentication failed",
        "does not exist",
        "not a database",
        "resolve",
        "certificate",
        "does not support ssl",
    )
    if any(word in said for word in lasting):
        return Misconfigured(f"{fault}: mend {database.schema.setting} or the rights on {database.name}")
    return fault


def _first_line(fault: Exception) -> str:
    origin = getattr(fault, "orig", None) or fault
    return (str(origin).strip() or type(origin).__name__).splitlines()[0]
