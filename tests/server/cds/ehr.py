"""A record system that asks by CDS Hooks: it has a key, signs tokens and publishes its JWK set."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://ehr.example.org"


@dataclass
class Ehr:
    issuer: str = ISSUER
    kid: str = "k1"
    algorithm: str = "ES384"
    private: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP384R1()))

    def jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        kind = RSAAlgorithm if isinstance(self.private, rsa.RSAPrivateKey) else ECAlgorithm
        return {**json.loads(kind.to_jwk(public)), "kid": self.kid, "use": "sig"}

    def jwks(self) -> bytes:
        return json.dumps({"keys": [self.jwk()]}).encode()

    def token(self, audience: Any, header: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())
        payload = {
            "iss": self.issuer,
            "aud": audience,
            "iat": now,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
        }
        payload = {name: value for name, value in (payload | claims).items() if value is not None}
        return jwt.encode(
            payload, self.private, algorithm=self.algorithm, headers={"kid": self.kid, **(header or {})}
        )
