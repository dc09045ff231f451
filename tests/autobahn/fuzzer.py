"""Starts the suite's `wstest`. Python 2: PyPy runs this file, see suite.py.

    fuzzer.py SITE --list       print the suite's case ids
    fuzzer.py SITE OPTIONS…     run wstest

The suite's fuzzing server would listen on every interface and on a port that somebody has to guess. Here it listens on
the loopback interface, on a port of the system's choice, and says which, as our own servers do.
"""

from __future__ import print_function

import site
import sys

site.addsitedir(sys.argv.pop(1))  # honours the .pth file of `zope`

from autobahntestsuite import wstest  # first: it chooses Twisted's reactor
from autobahntestsuite import fuzzing
from twisted.internet import reactor


def listen(factory, tls=None):
    if tls:
        port = reactor.listenSSL(0, factory, tls, interface="127.0.0.1")
    else:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    factory.port = factory.externalPort = port.getHost().port  # compared with the Host field
    print("listening on %s://127.0.0.1:%d" % ("wss" if tls else "ws", factory.port))
    return port


def case_ids():
    cases = fuzzing.CaseSet(
        fuzzing.CaseSetname, fuzzing.CaseBasename, fuzzing.Cases, fuzzing.CaseCategories, fuzzing.CaseSubCategories
    )
    return cases.parseSpecCases({"cases": ["*"]})


if sys.argv[1:] == ["--list"]:
    print("\n".join(case_ids()))
else:
    fuzzing.listenWS = listen
    wstest.run()
