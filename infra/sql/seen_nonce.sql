-- Nonces of signed requests: each counts once. The truth behind every replay check; rows go once they have expired.
CREATE TABLE seen_nonce (
    owner_id uuid NOT NULL, -- the device or beacon that signed
    nonce bytea NOT NULL CHECK (octet_length(nonce) = 16),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (owner_id, nonce)
);
CREATE INDEX seen_nonce_expires_at ON seen_nonce (expires_at);
