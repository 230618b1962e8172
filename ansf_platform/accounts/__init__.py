"""Who may do what, and what they did: tenants, tokens, memberships, the audit trail.

These rows lie below every package that limits or spends, because a policy, a cache scope and a
ledger line each belong to a tenant.

* A token belongs to one tenant. Only its SHA-256 is stored; the secret is shown once.
* Another tenant's object does not exist: selectors take the tenant first and answer 404.
* An audit entry is written in the transaction of the change it tells of.
"""
