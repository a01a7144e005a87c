-- Keys that a service signs its tokens with; the private part is encrypted under a key from a file.
CREATE TABLE signing_key (
    kid text PRIMARY KEY CHECK (kid ~ '^[A-Za-z0-9_-]{43}$'), -- RFC 7638 thumbprint
    state text NOT NULL CHECK (state IN ('next', 'active', 'retired', 'gone')),
    private_sealed bytea NOT NULL,
    public_jwk text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX signing_key_active ON signing_key (state) WHERE state = 'active';
