"""Who may do what with images; one permission per operation and per guarded field."""

from __future__ import annotations

from common.api.policy import ADMIN, MEMBER, READER, rule

RULES = [
    rule("image:image:list", READER, "List images"),
    rule("image:image:show", READER, "Show an image"),
    rule("image:image:create", MEMBER, "Create an image"),
    rule("image:image:create:owner", ADMIN, "Create an image for another project"),
    rule("image:image:publicize", ADMIN, "Make an image public"),
    rule("image:image:communitize", MEMBER, "Make an image a community image"),
    rule("image:image:update", MEMBER, "Change an image"),
    rule("image:image:update:owner", ADMIN, "Give an image to another project"),
    rule("image:image:delete", MEMBER, "Delete an image"),
    rule("image:data:upload", MEMBER, "Upload an image's data"),
    rule("image:data:download", READER, "Download an image's data"),
    rule("image:tag:create", MEMBER, "Add a tag to an image"),
    rule("image:tag:delete", MEMBER, "Remove a tag from an image"),
    rule("image:member:list", READER, "List the projects that an image is shared with"),
    rule("image:member:show", READER, "Show one project that an image is shared with"),
    rule("image:member:create", MEMBER, "Share an image with a project"),
    rule("image:member:update", MEMBER, "Accept or reject a shared image"),
    rule("image:member:delete", MEMBER, "Stop sharing an image with a project"),
    rule("image:schema:show", READER, "Show the schemas of the image API"),
]
