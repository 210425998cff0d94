"""Pages of one file: the evaluation's report and a dataset's card. They open offline, in light or dark.

Text becomes markup only through `sqlora.pages.element`, so everything is escaped; besides, a page's policy lets only
its own script run, by its hash, and lets nothing be fetched.
"""
