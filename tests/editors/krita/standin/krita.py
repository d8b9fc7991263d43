"""A small stand-in for Krita's Python module: 8-bit RGBA documents, enough to run the plug-in on any PyQt.

It knows the traps that the real one has: a new layer becomes the active one, a node without a parent is detached,
`addChildNode` always says True. What the real Krita does is tested in the real Krita; this is for the bindings.
"""

import enum

from dgfnet_inpaint.qt import QByteArray, QObject, QWidget, pyqtSignal

DEPTH, MODEL, PROFILE = "U8", "RGBA", "sRGB-elle-V2-srgbtrc.icc"
_next_id = iter(range(1, 1 << 30))


class _Id:
    def __init__(self):
        self._text = f"{{{next(_next_id):08d}}}"

    def toString(self):
        return self._text


class Node:
    def __init__(self, name, kind, width, height):
        self._name, self._kind, self._size = name, kind, (width, height)
        self._id, self._parent, self._children = _Id(), None, []
        self._pixels = bytearray(4 * width * height)
        self._blend, self._opacity, self._inherits = "normal", 255, False
        self.document = None

    def name(self):
        return self._name

    def setName(self, name):
        self._name = name

    def type(self):
        return self._kind

    def uniqueId(self):
        return self._id

    def parentNode(self):
        return self._parent

    def childNodes(self):
        return list(self._children)

    def addChildNode(self, node, above):
        place = self._children.index(above) + 1 if above in self._children else len(self._children)
        self._children.insert(place, node)
        node._parent = self
        if self.document:
            node.document = self.document
            self.document.active = node
        return True

    def setChildNodes(self, nodes):
        self._children = list(nodes)
        for node in nodes:
            node._parent = self

    def colorModel(self):
        return MODEL

    def colorDepth(self):
        return DEPTH

    def colorProfile(self):
        return PROFILE

    def setColorSpace(self, model, depth, profile):
        return (model, depth, profile) == (MODEL, DEPTH, PROFILE)

    def pixelData(self, x, y, width, height):
        columns, rows = self._size
        result = bytearray(4 * width * height)
        for row in range(max(y, 0), min(y + height, rows)):
            left, right = max(x, 0), min(x + width, columns)
            if left < right:
                target = 4 * ((row - y) * width + left - x)
                line = self._pixels[4 * (row * columns + left) : 4 * (row * columns + right)]
                result[target : target + len(line)] = line
        return QByteArray(bytes(result))

    def projectionPixelData(self, *bounds):
        return (self._children or [self])[0].pixelData(*bounds)

    def _reach(self, columns, rows):
        """Layers are as large as what is on them: one may come from a smaller document."""
        if columns > self._size[0] or rows > self._size[1]:
            assert not any(self._pixels)
            self._size = max(columns, self._size[0]), max(rows, self._size[1])
            self._pixels = bytearray(4 * self._size[0] * self._size[1])

    def setPixelData(self, data, x, y, width, height):
        self._reach(x + width, y + height)
        data, columns = bytes(data), self._size[0]
        for row in range(height):
            start = 4 * ((row + y) * columns + x)
            self._pixels[start : start + 4 * width] = data[4 * row * width : 4 * (row + 1) * width]
        return True

    def animated(self):
        return False

    def locked(self):
        return False

    def setBlendingMode(self, mode):
        self._blend = mode

    def blendingMode(self):
        return self._blend

    def setOpacity(self, opacity):
        self._opacity = opacity

    def opacity(self):
        return self._opacity

    def visible(self):
        return True

    def bounds(self):
        return Selection(0, 0, *self._size)

    def passThroughMode(self):
        return False

    def setInheritAlpha(self, inherits):
        self._inherits = inherits

    def inheritAlpha(self):
        return self._inherits

    def layerStyleToAsl(self):
        return ""


class Selection:
    def __init__(self, x, y, width, height):
        self._bounds = x, y, width, height

    def x(self):
        return self._bounds[0]

    def y(self):
        return self._bounds[1]

    def width(self):
        return self._bounds[2]

    def height(self):
        return self._bounds[3]

    def duplicate(self):
        return Selection(*self._bounds)

    def pixelData(self, x, y, width, height):
        left, top, columns, rows = self._bounds
        inside = [
            255 if left <= x + i < left + columns and top <= y + j < top + rows else 0
            for j in range(height)
            for i in range(width)
        ]
        return QByteArray(bytes(inside))


class Document:
    def __init__(self, width, height):
        self._size = width, height
        self._root = Node("root", "grouplayer", width, height)
        self._root.document = self
        self.chosen = self.active = None
        self._annotations = {}
        self._root.addChildNode(Node("Background", "paintlayer", width, height), None)

    def name(self):
        return "stand-in"

    def width(self):
        return self._size[0]

    def height(self):
        return self._size[1]

    colorModel, colorDepth, colorProfile = Node.colorModel, Node.colorDepth, Node.colorProfile

    def rootNode(self):
        return self._root

    def activeNode(self):
        return self.active

    def setActiveNode(self, node):
        self.active = node

    def selection(self):
        return self.chosen

    def pixelData(self, *bounds):
        return self._root.projectionPixelData(*bounds)

    def createNode(self, name, kind):
        return Node(name, kind, *self._size)

    def setBatchmode(self, is_quiet):
        pass

    def setModified(self, is_modified):
        self.modified = is_modified

    def close(self):
        Krita.instance().open.remove(self)

    def createGroupLayer(self, name):
        return Node(name, "grouplayer", *self._size)

    def currentTime(self):
        return 0

    def refreshProjection(self):
        return None

    def waitForDone(self):
        return None

    def tryBarrierLock(self):
        return True

    def unlock(self):
        return None

    def setAnnotation(self, kind, _description, data):
        self._annotations[kind] = data

    def annotation(self, kind):
        return self._annotations[kind]

    def annotationTypes(self):
        return list(self._annotations)

    def removeAnnotation(self, kind):
        del self._annotations[kind]


class Notifier(QObject):
    applicationClosing = pyqtSignal()
    imageClosed = pyqtSignal(str)

    def setActive(self, is_active):
        self.active = is_active


class Action(QObject):
    triggered = pyqtSignal(bool)

    def trigger(self):
        self.triggered.emit(False)


class Window:
    def __init__(self):
        self.actions = {}

    def createAction(self, name, text, menu):
        self.actions[name] = Action()
        return self.actions[name]

    def activeView(self):
        return None


class Krita:
    _instance = None

    def __init__(self):
        self.extensions, self.factories, self.settings, self.open = [], [], {}, []
        self.window, self._notifier = Window(), Notifier()

    @classmethod
    def instance(cls):
        cls._instance = cls._instance or cls()
        return cls._instance

    def version(self):
        return "stand-in"

    def addExtension(self, extension):
        self.extensions.append(extension)

    def addDockWidgetFactory(self, factory):
        self.factories.append(factory)

    def notifier(self):
        return self._notifier

    def readSetting(self, group, name, default):
        return self.settings.get((group, name), default)

    def writeSetting(self, group, name, value):
        assert isinstance(value, str)
        self.settings[group, name] = value

    def activeWindow(self):
        return self.window

    def activeDocument(self):
        return self.open[-1] if self.open else None

    def documents(self):
        return list(self.open)

    def createDocument(self, width, height, *_space):
        document = Document(width, height)
        self.open.insert(0, document)  # behind the one in front
        return document


class Extension(QObject):
    def __init__(self, parent):
        super().__init__()


class DockWidget(QWidget):
    def setWidget(self, widget):
        widget.setParent(self)


class ManagedColor:
    pass


class DockWidgetFactoryBase:
    class DockPosition(enum.Enum):  # in full only, as in Krita 6
        DockRight = 1


class DockWidgetFactory:
    def __init__(self, name, place, make):
        self.name, self.make = name, make
