// Echo on uWebSockets (C++): text and binary; with --fan-out, any message makes it publish the prepared one to everybody.
#include "App.h"
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

struct PerSocket {};

struct Options {
    int port = 9001;
    bool deflate = false, fanOut = false;
    const char *cert = nullptr, *key = nullptr;
};

template <bool TLS>
void serve(uWS::TemplatedApp<TLS> &&app, const Options &o) {
    static const std::string prepared(128, 'x');
    typename uWS::TemplatedApp<TLS>::template WebSocketBehavior<PerSocket> b;
    b.compression = o.deflate ? uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR) : uWS::DISABLED;
    b.maxPayloadLength = 16 * 1024 * 1024;
    b.idleTimeout = 0;
    b.maxBackpressure = 64 * 1024 * 1024;
    b.sendPingsAutomatically = false;
    if (o.fanOut) {
        b.open = [](auto *ws) { ws->subscribe("all"); };
        b.message = [&app](auto *, std::string_view, uWS::OpCode) { app.publish("all", prepared, uWS::OpCode::BINARY, false); };
    } else {
        b.message = [deflate = o.deflate](auto *ws, std::string_view m, uWS::OpCode op) { ws->send(m, op, deflate); };
    }
    app.template ws<PerSocket>("/*", std::move(b)).listen("127.0.0.1", o.port, [](auto *s) {
        if (!s) exit(1);
    }).run();
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); // its vectored write has no MSG_NOSIGNAL
    Options o;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--port") && i + 1 < argc) {
            o.port = atoi(argv[++i]);
        } else if (!strcmp(argv[i], "--tls") && i + 2 < argc) {
            o.cert = argv[++i];
            o.key = argv[++i];
        } else if (!strcmp(argv[i], "--deflate")) {
            o.deflate = true;
        } else if (!strcmp(argv[i], "--fan-out")) {
            o.fanOut = true;
        } else {
            fprintf(stderr, "unknown argument %s\n", argv[i]);
            return 2;
        }
    }
    if (o.cert) {
        uWS::SocketContextOptions tls;
        tls.cert_file_name = o.cert;
        tls.key_file_name = o.key;
        serve<true>(uWS::SSLApp(tls), o);
    } else {
        serve<false>(uWS::App(), o);
    }
}
