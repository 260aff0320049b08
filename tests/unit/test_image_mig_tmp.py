from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from common.db import Base
import common.models, image.models, volume.models
def test_drift(db):
    with db.engine.connect() as c:
        ctx = MigrationContext.configure(c, opts={"include_schemas": True, "compare_type": True, "include_name": lambda n,t,p: (n in ("image","volume","common")) if t=="schema" else True})
        d = compare_metadata(ctx, Base.metadata)
        d = [x for x in d if 'identity' not in str(x)]
        assert not d, d
