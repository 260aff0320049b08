"""Shapes of quotas."""

from __future__ import annotations

from common.api.answer_shapes import NUMBER, STRING, always
from common.api.shapes import array, wrapped
from network.service.quota import DEFAULTS

LIMITS = dict.fromkeys(DEFAULTS, NUMBER)
QUOTA = wrapped("quota", always(LIMITS))
QUOTAS = always({"quotas": array(always({"project_id": STRING, "tenant_id": STRING, **LIMITS}))})
DETAILS = wrapped("quota", always(dict.fromkeys(DEFAULTS, always({"limit": NUMBER, "used": NUMBER, "reserved": NUMBER}))))
