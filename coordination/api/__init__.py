"""The REST API of coordination, one module per resource.

Every view is an :class:`coordination.api.endpoint.CoordinationEndpoint` of declared operations:
the schemas that are documented are the ones that are checked. Nothing here decides anything:
views read selectors, call services, and write the audit entry of what they changed.

Rendering is by plain functions over ``values()`` rows, names looked up once per page, and bulk
submissions are checked by hand (:mod:`coordination.api.task_requests`): both because a page of
500 tasks and a bulk of 10 000 must cost milliseconds.
"""

from __future__ import annotations
