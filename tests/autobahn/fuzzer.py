"""Starts the suite's `wstest`. Python 2: PyPy runs this file, see suite.py.

    fuzzer.py SITE --list       print the suite's case ids
    fuzzer.py SITE --describe   print what it says about itself and each case, as JSON
    fuzzer.py SITE OPTIONS…     run wstest

The suite's fuzzing server would listen on every interface and on a port that somebody has to guess. Here it listens on
the loopback interface, on a port of the system's choice, and says which, as our own servers do.
"""

from __future__ import print_function

import json
import platform
import site
import sys

site.addsitedir(sys.argv.pop(1))  # honours the .pth file of `zope`

from autobahntestsuite import wstest  # first: it chooses Twisted's reactor
from autobahntestsuite import fuzzing
from OpenSSL import SSL
from twisted.internet import reactor


def listen(factory, tls=None):
    if tls:
        port = reactor.listenSSL(0, factory, tls, interface="127.0.0.1")
    else:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    factory.port = factory.externalPort = port.getHost().port  # compared with the Host field
    print("listening on %s://127.0.0.1:%d" % ("wss" if tls else "ws", factory.port))
    return port


def case_set():
    return fuzzing.CaseSet(
        fuzzing.CaseSetname, fuzzing.CaseBasename, fuzzing.Cases, fuzzing.CaseCategories, fuzzing.CaseSubCategories
    )


def describe():
    cases = case_set()
    texts = {
        case: {"description": klass.DESCRIPTION.decode("utf-8"), "expectation": klass.EXPECTATION.decode("utf-8")}
        for case, klass in cases.CasesById.items()
    }
    return {
        "suite": "autobahntestsuite %s, autobahn %s" % (fuzzing.autobahntestsuite.version, fuzzing.autobahn.version),
        "python": "%s %s" % (platform.python_implementation(), interpreter_version()),
        "openssl": SSL.SSLeay_version(SSL.SSLEAY_VERSION),
        "sections": dict(fuzzing.CaseCategories, **fuzzing.CaseSubCategories),
        "cases": texts,
    }


def interpreter_version():
    pypy = getattr(sys, "pypy_version_info", None)
    language = "Python %s" % platform.python_version()
    return "%d.%d.%d (%s)" % (pypy[:3] + (language,)) if pypy else "(%s)" % language


if sys.argv[1:] == ["--list"]:
    print("\n".join(case_set().parseSpecCases({"cases": ["*"]})))
elif sys.argv[1:] == ["--describe"]:
    print(json.dumps(describe()))
else:
    fuzzing.listenWS = listen
    wstest.run()
