#!/bin/sh
# A virtual machine with its collector threads and compiler: a server and a client over loopback, a child process.
# needs: java javac
# room: -m 2G --cpus 2
set -eu
cat >Main.java <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.stream.IntStream;

public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println("hello " + IntStream.range(0, 1000000).parallel().filter(i -> i % 7 == 0).count());
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", x -> {
            byte[] body = x.getRequestMethod().getBytes();
            x.sendResponseHeaders(200, body.length);
            x.getResponseBody().write(body);
            x.close();
        });
        server.start();
        URI uri = URI.create("http://localhost:" + server.getAddress().getPort() + "/");
        System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body());
        server.stop(0);
        Process p = new ProcessBuilder("sh", "-c", "echo child; exit 4").redirectErrorStream(true).start();
        System.out.print(new String(p.getInputStream().readAllBytes()));
        System.out.println("status " + p.waitFor());
        Path f = Files.createTempFile("a", "b");
        Files.writeString(f, "text");
        System.out.println(Files.size(f) + " " + MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(f)).length);
        byte[][] heap = new byte[200][];
        for (int i = 0; i < 2000; i++) heap[i % 200] = new byte[200000];
        System.gc();
        System.exit(heap[0].length == 200000 ? 0 : 1);
    }
}
JAVA
javac -d classes Main.java
java -Xmx256m -cp classes Main
