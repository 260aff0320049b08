"""Identity, whole: credentials, delegation, federation, limits, tags, endpoint groups, policies, options of a domain."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SCHEMA = "identity"
TABLES = (
    "consumer",
    "endpoint_group",
    "mapping",
    "policy",
    "service_provider",
    "consumer_secret",
    "domain_config",
    "domain_secret",
    "identity_provider",
    "project_endpoint_group",
    "project_tag",
    "registered_limit",
    "access_rule",
    "access_token",
    "application_credential",
    "credential",
    "federation_protocol",
    "limit",
    "login_failure",
    "policy_association",
    "project_endpoint",
    "remote_id",
    "request_token",
    "trust",
    "vouched_member",
    "access_token_role",
    "access_token_secret",
    "application_credential_access_rule",
    "application_credential_role",
    "application_credential_secret",
    "federated_user",
    "trust_role",
)


def upgrade() -> None:
    op.create_table(
        "consumer",
        sa.Column("description", sa.Text()),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("extra", JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consumer"),
        schema=SCHEMA,
    )
    op.create_table(
        "endpoint_group",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("filters", JSONB(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("extra", JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_endpoint_group"),
        schema=SCHEMA,
    )
    op.create_table(
        "mapping",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("rules", JSONB(), nullable=False),
        sa.Column("schema_version", sa.String(length=16), server_default="1.0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mapping"),
        schema=SCHEMA,
    )
    op.create_table(
        "policy",
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("extra", JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policy"),
        schema=SCHEMA,
    )
    op.create_table(
        "service_provider",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("auth_url", sa.Text(), nullable=False),
        sa.Column("sp_url", sa.Text(), nullable=False),
        sa.Column("relay_state_prefix", sa.String(length=256), server_default="ss:mem:", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_provider"),
        schema=SCHEMA,
    )
    op.create_table(
        "consumer_secret",
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_id"], ["identity.consumer.id"], name="fk_consumer_secret_consumer_id_consumer", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("consumer_id", name="pk_consumer_secret"),
        schema=SCHEMA,
    )
    op.create_table(
        "domain_config",
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("group", sa.String(length=255), nullable=False),
        sa.Column("option", sa.String(length=255), nullable=False),
        sa.Column("value", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["identity.project.id"], name="fk_domain_config_domain_id_project", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("domain_id", "group", "option", name="pk_domain_config"),
        schema=SCHEMA,
    )
    op.create_table(
        "domain_secret",
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("group", sa.String(length=255), nullable=False),
        sa.Column("option", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["identity.project.id"], name="fk_domain_secret_domain_id_project", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("domain_id", "group", "option", name="pk_domain_secret"),
        schema=SCHEMA,
    )
    op.create_table(
        "identity_provider",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("authorization_ttl", sa.Integer()),
        sa.Column("extra", JSONB(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["identity.project.id"], name="fk_identity_provider_domain_id_project", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_identity_provider"),
        schema=SCHEMA,
    )
    op.create_table(
        "project_endpoint_group",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_group_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_group_id"],
            ["identity.endpoint_group.id"],
            name="fk_project_endpoint_group_endpoint_group_id_endpoint_group",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["identity.project.id"], name="fk_project_endpoint_group_project_id_project", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "endpoint_group_id", name="pk_project_endpoint_group"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_project_endpoint_group_endpoint_group_id", "project_endpoint_group", ["endpoint_group_id"], unique=False, schema=SCHEMA
    )
    op.create_table(
        "project_tag",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["identity.project.id"], name="fk_project_tag_project_id_project", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_project_tag"),
        schema=SCHEMA,
    )
    op.create_index("ix_project_tag_name", "project_tag", ["name"], unique=False, schema=SCHEMA)
    op.create_table(
        "registered_limit",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255)),
        sa.Column("resource_name", sa.String(length=255), nullable=False),
        sa.Column("default_limit", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.ForeignKeyConstraint(["region_id"], ["identity.region.id"], name="fk_registered_limit_region_id_region"),
        sa.ForeignKeyConstraint(["service_id"], ["identity.service.id"], name="fk_registered_limit_service_id_service"),
        sa.PrimaryKeyConstraint("id", name="pk_registered_limit"),
        sa.UniqueConstraint(
            "service_id",
            "region_id",
            "resource_name",
            name="uq_registered_limit_service_id_region_id_resource_name",
            postgresql_nulls_not_distinct=True,
        ),
        schema=SCHEMA,
    )
    op.create_table(
        "access_rule",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["identity.user.id"], name="fk_access_rule_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_access_rule"),
        sa.UniqueConstraint("user_id", "service", "path", "method", name="uq_access_rule_user_id_service_path_method"),
        schema=SCHEMA,
    )
    op.create_table(
        "access_token",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("authorizing_user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorizing_user_id"], ["identity.user.id"], name="fk_access_token_authorizing_user_id_user", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["consumer_id"], ["identity.consumer.id"], name="fk_access_token_consumer_id_consumer", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["identity.project.id"], name="fk_access_token_project_id_project", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_access_token"),
        schema=SCHEMA,
    )
    op.create_index("ix_access_token_authorizing_user_id", "access_token", ["authorizing_user_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "application_credential",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("restricted", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["identity.project.id"], name="fk_application_credential_project_id_project", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["identity.user.id"], name="fk_application_credential_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_application_credential"),
        sa.UniqueConstraint("user_id", "name", name="uq_application_credential_user_id_name"),
        schema=SCHEMA,
    )
    op.create_index("ix_application_credential_project_id", "application_credential", ["project_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "credential",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64)),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("extra", JSONB(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["identity.project.id"], name="fk_credential_project_id_project", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["identity.user.id"], name="fk_credential_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_credential"),
        schema=SCHEMA,
    )
    op.create_index("ix_credential_user_id_type", "credential", ["user_id", "type"], unique=False, schema=SCHEMA)
    op.create_table(
        "federation_protocol",
        sa.Column("identity_provider_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("mapping_id", sa.String(length=64), nullable=False),
        sa.Column("remote_id_attribute", sa.String(length=255)),
        sa.ForeignKeyConstraint(
            ["identity_provider_id"],
            ["identity.identity_provider.id"],
            name="fk_federation_protocol_identity_provider_id_identity_provider",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["mapping_id"], ["identity.mapping.id"], name="fk_federation_protocol_mapping_id_mapping"),
        sa.PrimaryKeyConstraint("identity_provider_id", "id", name="pk_federation_protocol"),
        schema=SCHEMA,
    )
    op.create_table(
        "limit",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("registered_limit_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64)),
        sa.Column("domain_id", sa.String(length=64)),
        sa.Column("resource_limit", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.CheckConstraint("num_nonnulls(project_id, domain_id) = 1", name="ck_limit_one_bearer"),
        sa.ForeignKeyConstraint(["domain_id"], ["identity.project.id"], name="fk_limit_domain_id_project", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["identity.project.id"], name="fk_limit_project_id_project", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["registered_limit_id"], ["identity.registered_limit.id"], name="fk_limit_registered_limit_id_registered_limit"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_limit"),
        sa.UniqueConstraint(
            "registered_limit_id",
            "project_id",
            "domain_id",
            name="uq_limit_registered_limit_id_project_id_domain_id",
            postgresql_nulls_not_distinct=True,
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_limit_domain_id", "limit", ["domain_id"], unique=False, schema=SCHEMA)
    op.create_index("ix_limit_project_id", "limit", ["project_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "login_failure",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["identity.user.id"], name="fk_login_failure_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="pk_login_failure"),
        schema=SCHEMA,
    )
    op.create_table(
        "policy_association",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("policy_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64)),
        sa.Column("service_id", sa.String(length=64)),
        sa.Column("region_id", sa.String(length=255)),
        sa.CheckConstraint("endpoint_id IS NULL OR region_id IS NULL", name="ck_policy_association_region_of_service"),
        sa.CheckConstraint("num_nonnulls(endpoint_id, service_id) = 1", name="ck_policy_association_endpoint_or_service"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["identity.endpoint.id"], name="fk_policy_association_endpoint_id_endpoint", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["policy_id"], ["identity.policy.id"], name="fk_policy_association_policy_id_policy", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["region_id"], ["identity.region.id"], name="fk_policy_association_region_id_region", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["service_id"], ["identity.service.id"], name="fk_policy_association_service_id_service", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_policy_association"),
        sa.UniqueConstraint(
            "endpoint_id",
            "service_id",
            "region_id",
            name="uq_policy_association_endpoint_id_service_id_region_id",
            postgresql_nulls_not_distinct=True,
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_policy_association_policy_id", "policy_association", ["policy_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "project_endpoint",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["identity.endpoint.id"], name="fk_project_endpoint_endpoint_id_endpoint", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["identity.project.id"], name="fk_project_endpoint_project_id_project", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", name="pk_project_endpoint"),
        schema=SCHEMA,
    )
    op.create_index("ix_project_endpoint_endpoint_id", "project_endpoint", ["endpoint_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "remote_id",
        sa.Column("remote_id", sa.String(length=255), nullable=False),
        sa.Column("identity_provider_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_provider_id"],
            ["identity.identity_provider.id"],
            name="fk_remote_id_identity_provider_id_identity_provider",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("remote_id", name="pk_remote_id"),
        schema=SCHEMA,
    )
    op.create_index("ix_remote_id_identity_provider_id", "remote_id", ["identity_provider_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "request_token",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("authorizing_user_id", sa.String(length=64)),
        sa.Column("role_ids", JSONB()),
        sa.Column("verifier", sa.Text()),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["authorizing_user_id"], ["identity.user.id"], name="fk_request_token_authorizing_user_id_user", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["consumer_id"], ["identity.consumer.id"], name="fk_request_token_consumer_id_consumer", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["identity.project.id"], name="fk_request_token_project_id_project", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_request_token"),
        schema=SCHEMA,
    )
    op.create_index("ix_request_token_expires_at", "request_token", ["expires_at"], unique=False, schema=SCHEMA)
    op.create_table(
        "trust",
        sa.Column("trustor_user_id", sa.String(length=64), nullable=False),
        sa.Column("trustee_user_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64)),
        sa.Column("impersonation", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("remaining_uses", sa.Integer()),
        sa.Column("redelegated_trust_id", sa.String(length=64)),
        sa.Column("redelegation_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("extra", JSONB(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["identity.project.id"], name="fk_trust_project_id_project", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["redelegated_trust_id"], ["identity.trust.id"], name="fk_trust_redelegated_trust_id_trust", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["trustee_user_id"], ["identity.user.id"], name="fk_trust_trustee_user_id_user", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trustor_user_id"], ["identity.user.id"], name="fk_trust_trustor_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_trust"),
        schema=SCHEMA,
    )
    op.create_index("ix_trust_redelegated_trust_id", "trust", ["redelegated_trust_id"], unique=False, schema=SCHEMA)
    op.create_index("ix_trust_trustee_user_id", "trust", ["trustee_user_id"], unique=False, schema=SCHEMA)
    op.create_index("ix_trust_trustor_user_id", "trust", ["trustor_user_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "vouched_member",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("identity_provider_id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["identity.group.id"], name="fk_vouched_member_group_id_group", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["identity_provider_id"],
            ["identity.identity_provider.id"],
            name="fk_vouched_member_identity_provider_id_identity_provider",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["identity.user.id"], name="fk_vouched_member_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "group_id", "identity_provider_id", name="pk_vouched_member"),
        schema=SCHEMA,
    )
    op.create_index("ix_vouched_member_group_id", "vouched_member", ["group_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "access_token_role",
        sa.Column("access_token_id", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["access_token_id"], ["identity.access_token.id"], name="fk_access_token_role_access_token_id_access_token", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["role_id"], ["identity.role.id"], name="fk_access_token_role_role_id_role", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("access_token_id", "role_id", name="pk_access_token_role"),
        schema=SCHEMA,
    )
    op.create_index("ix_access_token_role_role_id", "access_token_role", ["role_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "access_token_secret",
        sa.Column("access_token_id", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["access_token_id"],
            ["identity.access_token.id"],
            name="fk_access_token_secret_access_token_id_access_token",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("access_token_id", name="pk_access_token_secret"),
        schema=SCHEMA,
    )
    op.create_table(
        "application_credential_access_rule",
        sa.Column("application_credential_id", sa.String(length=64), nullable=False),
        sa.Column("access_rule_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["access_rule_id"], ["identity.access_rule.id"]),
        sa.ForeignKeyConstraint(
            ["application_credential_id"],
            ["identity.application_credential.id"],
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("application_credential_id", "access_rule_id", name="pk_application_credential_access_rule"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_application_credential_access_rule_access_rule_id",
        "application_credential_access_rule",
        ["access_rule_id"],
        unique=False,
        schema=SCHEMA,
    )
    op.create_table(
        "application_credential_role",
        sa.Column("application_credential_id", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_credential_id"],
            ["identity.application_credential.id"],
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["role_id"], ["identity.role.id"], name="fk_application_credential_role_role_id_role", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("application_credential_id", "role_id", name="pk_application_credential_role"),
        schema=SCHEMA,
    )
    op.create_index("ix_application_credential_role_role_id", "application_credential_role", ["role_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "application_credential_secret",
        sa.Column("application_credential_id", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_credential_id"],
            ["identity.application_credential.id"],
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("application_credential_id", name="pk_application_credential_secret"),
        schema=SCHEMA,
    )
    op.create_table(
        "federated_user",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("identity_provider_id", sa.String(length=64), nullable=False),
        sa.Column("protocol_id", sa.String(length=64), nullable=False),
        sa.Column("unique_id", sa.String(length=255), nullable=False),
        sa.Column("display_name", sa.String(length=255)),
        sa.ForeignKeyConstraint(
            ["identity_provider_id", "protocol_id"],
            ["identity.federation_protocol.identity_provider_id", "identity.federation_protocol.id"],
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["identity.user.id"], name="fk_federated_user_user_id_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_federated_user"),
        sa.UniqueConstraint(
            "identity_provider_id", "protocol_id", "unique_id", name="uq_federated_user_identity_provider_id_protocol_id_unique_id"
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_federated_user_user_id", "federated_user", ["user_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "trust_role",
        sa.Column("trust_id", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["identity.role.id"], name="fk_trust_role_role_id_role", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trust_id"], ["identity.trust.id"], name="fk_trust_role_trust_id_trust", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trust_id", "role_id", name="pk_trust_role"),
        schema=SCHEMA,
    )
    op.create_index("ix_trust_role_role_id", "trust_role", ["role_id"], unique=False, schema=SCHEMA)
    op.add_column("group", sa.Column("external_id", sa.String(length=255)), schema=SCHEMA)
    op.create_unique_constraint("uq_group_domain_id_external_id", "group", ["domain_id", "external_id"], schema=SCHEMA)
    op.add_column("user", sa.Column("external_id", sa.String(length=255)), schema=SCHEMA)
    op.add_column("user", sa.Column("last_active_on", sa.Date()), schema=SCHEMA)
    op.create_unique_constraint("uq_user_domain_id_external_id", "user", ["domain_id", "external_id"], schema=SCHEMA)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
    for table, column in (("user", "last_active_on"), ("user", "external_id"), ("group", "external_id")):
        op.drop_column(table, column, schema=SCHEMA)
