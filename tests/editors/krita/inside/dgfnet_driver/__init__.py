"""A Krita plug-in for tests only: runs the cases one after the other inside the real Krita, then closes it."""

from krita import Extension, Krita

from .runner import Runner


class Driver(Extension):
    """Starts with the first window."""

    def setup(self):
        self.runner = None

    def createActions(self, window):
        if self.runner is None:
            self.runner = Runner()


Krita.instance().addExtension(Driver(Krita.instance()))
