"""Credentials, application credentials and their access rules. A user's own need no rule: the handlers look at the path or at the row."""

from __future__ import annotations

from common.api.policy import ADMIN, Rule, rule
from identity.policy.base import READ, managed

SIGNATURES = f"{ADMIN} or role:service"

RULES: list[Rule] = [
    *managed("credential", "credentials", READ, "a credential of another user"),
    rule("identity:ec2_get_credential", READ, "Show an EC2 credential of another user."),
    rule("identity:ec2_list_credentials", READ, "List the EC2 credentials of another user."),
    rule("identity:ec2_create_credential", ADMIN, "Create an EC2 credential for another user."),
    rule("identity:ec2_delete_credential", ADMIN, "Delete an EC2 credential of another user."),
    rule("identity:ec2tokens_validate", SIGNATURES, "Have a token for a request that was signed with an EC2 credential."),
    rule("identity:s3tokens_validate", SIGNATURES, "Have a token for a request to S3 that was signed with an EC2 credential."),
    rule("identity:get_application_credential", READ, "Show an application credential of another user."),
    rule("identity:list_application_credentials", READ, "List the application credentials of another user."),
    rule("identity:delete_application_credential", ADMIN, "Delete an application credential of another user."),
    rule("identity:get_access_rule", READ, "Show an access rule of another user."),
    rule("identity:list_access_rules", READ, "List the access rules of another user."),
    rule("identity:delete_access_rule", ADMIN, "Delete an access rule of another user."),
]
