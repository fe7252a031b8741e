"""Static files under hashed names, JavaScript module imports included."""

from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Rewrite `import` paths too, so that every module can be cached for ever."""

    support_js_module_import_aggregation = True

    def create_compressor(self, **options: object) -> Compressor:
        """Use gzip alone: with brotli collecting takes 17 s, not 2.4, for 17% fewer bytes."""
        return super().create_compressor(use_brotli=False, **options)
