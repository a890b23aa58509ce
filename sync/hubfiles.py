"""Every file of a hub in operator mode: machines, certificates, accounts, keys. Keys and account claims that exist are kept.

`offline` goes into a safe, `operations` to whoever may revoke, `headquarters-<environment>` to the central team.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from runtime.errors import ConfigError
from sync import authority, hubplan, jwt, nkey, permissions
from sync.hubplan import HubPlan
from sync.nkey import Key, Kind
from sync.permissions import Permissions, Role

DAY_SECONDS = 86_400
PEOPLE_DAYS = 365
"""Life of the logins made here; `hub-config` again makes new ones, and so does `fleet enrol issue`."""
SYSTEM_CONNECTIONS_MAX = 100
OPERATOR = "operations/operator.jwt"
OPERATOR_SEED = "offline/operator.seed"
OPERATIONS_SEED = "operations/operator-signing.seed"


class HubFile(NamedTuple):
    """`secret`: for its owner's eyes only."""

    content: bytes
    secret: bool = False


def build(plan: HubPlan, given: Mapping[str, bytes], *, now_seconds: int) -> dict[str, HubFile]:
    """Relative path → file. `given`: what an earlier run has left there. Raises `ConfigError` for a plan that cannot work."""
    plan.check()
    return _Build(plan, given, now_seconds).files()


class _Build:
    def __init__(self, plan: HubPlan, given: Mapping[str, bytes], now_seconds: int) -> None:
        self._plan, self._given, self._now = plan, given, now_seconds
        self._files: dict[str, HubFile] = {}

    def files(self) -> dict[str, HubFile]:
        """All of them."""
        signing, system = self._seed(OPERATIONS_SEED, "operator"), self._seed("offline/system.seed", "account")
        system_signing = self._seed("operations/system-signing.seed", "account")
        operator = self._kept(OPERATOR, lambda: self._operator(signing, system))
        claims = {
            system.public: self._kept(
                "operations/system.jwt",
                lambda: self._account("system", system, signing, system_signing, environment=""),
            )
        }
        authority_pair = self._authority()
        for environment in self._plan.environments:
            key, token = self._environment(environment, signing)
            claims[key] = token
        self._login(
            "operations/accounts.creds", "accounts", permissions.accounts(), system.public, system_signing, "system"
        )
        self._place("operations", "system", system.public)
        self._machines(authority_pair, operator, system.public, claims)
        self._files["README.txt"] = HubFile(_steps(self._plan).encode())
        return self._files

    def _environment(self, environment: str, operator: Key) -> tuple[str, str]:
        """(public key of its account, JWT), and the folder of its central team."""
        path, folder = f"operations/account-{environment}.jwt", f"headquarters-{environment}"
        account = self._seed(f"offline/account-{environment}.seed", "account", claims=path)
        issuer = self._seed(f"{folder}/issuer.seed", "account", claims=path)
        name = f"edge-{environment}"
        token = self._kept(path, lambda: self._account(name, account, operator, issuer, environment=environment))
        allowed = permissions.headquarters()
        self._login(f"{folder}/hub.creds", "headquarters", allowed, account.public, issuer, environment)
        self._place(folder, environment, account.public)
        return account.public, token

    def _seed(self, path: str, kind: Kind, *, claims: str = OPERATOR) -> Key:
        """`claims`: the file that speaks of this key already, if there is one; then a new key would fit nothing."""
        found = self._given.get(path)
        if found is None and claims in self._given:
            raise ConfigError(f"{path} is missing, but {claims} speaks of it", hint="put all folders together again")
        key = nkey.make(kind) if found is None else Key(found.decode())
        self._files[path] = HubFile(key.seed.encode() + b"\n", secret=True)
        return key

    def _kept(self, path: str, make: Callable[[], str]) -> str:
        """Claims that were pushed later (revocations) must not be replaced by first ones."""
        found = self._given.get(path)
        token = make() if found is None else found.decode().strip()
        self._files[path] = HubFile(token.encode() + b"\n")
        return token

    def _operator(self, signing: Key, system: Key) -> str:
        own = self._seed(OPERATOR_SEED, "operator")
        nats = jwt.operator(signing_keys=[signing.public], system_account=system.public)
        return jwt.sign(own, own.public, self._plan.name, nats, issued_at=self._now)

    def _account(self, name: str, account: Key, operator: Key, issuer: Key, *, environment: str) -> str:
        nats = jwt.account(
            signing_keys=[issuer.public],
            connections_max=self._plan.connections_max if environment else SYSTEM_CONNECTIONS_MAX,
            jetstream=bool(environment),
            tags=[f"environment:{environment}"] if environment else [],
        )
        return jwt.sign(operator, account.public, name, nats, issued_at=self._now)

    def _authority(self) -> authority.Pair:
        certificate, key = self._given.get("offline/ca.pem"), self._given.get("offline/ca.key")
        pair = (
            authority.make(self._plan.name, now_seconds=self._now)
            if certificate is None or key is None
            else authority.Pair(certificate, key)
        )
        self._files["offline/ca.pem"] = HubFile(pair.certificate)
        self._files["offline/ca.key"] = HubFile(pair.key, secret=True)
        for folder in ("operations", *(f"headquarters-{name}" for name in self._plan.environments)):
            self._files[f"{folder}/ca.pem"] = HubFile(pair.certificate)
        return pair

    def _login(self, path: str, role: Role, allowed: Permissions, account: str, issuer: Key, environment: str) -> None:
        user = nkey.make("user")
        nats = permissions.claims(role, allowed, account=account, environment=environment)
        ends = self._now + PEOPLE_DAYS * DAY_SECONDS
        token = jwt.sign(issuer, user.public, role, nats, issued_at=self._now, expires_at=ends)
        self._files[path] = HubFile(jwt.credentials(token, user.seed).encode(), secret=True)

    def _place(self, folder: str, environment: str, account: str) -> None:
        """hub.toml: what the commands of that folder's owner need to know."""
        q, plan = json.dumps, self._plan
        credentials = "accounts.creds" if folder == "operations" else "hub.creds"
        lines = [
            "# Written by `entrepot topology hub-config`. Paths are relative to this file.",
            f"environment = {q(environment)}",
            f"account = {q(account)}",
            f"servers = {q(plan.servers)}",
            f"websockets = {q(plan.websockets)}",
            f"replicas = {plan.replicas}",
            'tls_ca = "ca.pem"',
            f"credentials = {q(credentials)}",
            f"release_keys = {q(dict(plan.release_keys).get(environment, []))}",  # type: ignore[call-overload]
        ]
        self._files[f"{folder}/hub.toml"] = HubFile("\n".join([*lines, ""]).encode())

    def _machines(self, pair: authority.Pair, operator: str, system: str, claims: dict[str, str]) -> None:
        for node in self._plan.nodes:
            folder = f"nodes/{node.name}"
            own = authority.issue(pair, node.host, now_seconds=self._now)
            known = hubplan.accounts(node, operator=operator, system_account=system, claims=claims)
            self._files |= {
                f"{folder}/nats.conf": HubFile(hubplan.configuration(self._plan, node).encode()),
                f"{folder}/accounts.conf": HubFile(known.encode()),
                f"{folder}/ca.pem": HubFile(pair.certificate),
                f"{folder}/cert.pem": HubFile(own.certificate),
                f"{folder}/key.pem": HubFile(own.key, secret=True),
            }


def _steps(plan: HubPlan) -> str:
    copies = "\n".join(
        f"     {node.host}: nodes/{node.name}/*  ->  {node.directory}/  (key.pem: mode 0600, of the user that runs nats-server)"
        for node in plan.nodes
    )
    teams = "\n".join(
        f"     headquarters-{name}/   to the central team of {name}: signs the logins of its regions"
        for name in plan.environments
    )
    return f"""Hub {plan.name}: {len(plan.nodes)} machines, environments {", ".join(plan.environments)}. docs/hub.md says more.

1. Put the keys apart. Nobody needs two of these folders in everyday work:
     offline/            into a safe, on no machine: the operator, the accounts, the certificate authority
     operations/         to whoever may revoke a region's login: vouches for accounts
{teams}
2. Copy to each machine, and nothing else:
{copies}
3. On each machine, as a user of its own, with nats-server 2.15.1 or newer:
     nats-server -c {plan.nodes[0].directory}/nats.conf
   Open between the machines: TCP {plan.nodes[0].cluster_port}. For regions: TCP {plan.nodes[0].port}, or {plan.nodes[0].websocket_port} for those whose
   firewall allows nothing else. Monitoring answers on 127.0.0.1:{plan.nodes[0].monitor_port} of each machine only.
4. Look from the central team's side:
     entrepot fleet enrol list --keys headquarters-{plan.environments[0]}
5. Certificates of the machines end after {authority.MACHINE_DAYS} days, the logins in these folders after {PEOPLE_DAYS}. Before that, with the
   folders together again, the same command renews both and keeps every key; then copy to each machine and send
   nats-server a SIGHUP.
"""
