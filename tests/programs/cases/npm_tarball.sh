#!/bin/sh
# Two packages packed, one installed from the other's tarball without a network, and its script run.
# needs: node npm
# room: -m 2G --cpus 2
set -eu
export npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false
mkdir greeter tool app
cat >greeter/package.json <<'JSON'
{"name": "greeter", "version": "1.0.0", "main": "index.js"}
JSON
echo 'module.exports = (n) => "hello " + n;' >greeter/index.js
cat >tool/package.json <<'JSON'
{"name": "tool", "version": "2.0.0", "bin": {"tool": "cli.js"}, "scripts": {"postinstall": "node -e \"require('fs').writeFileSync('built', 'yes')\""}}
JSON
printf '#!/usr/bin/env node\nconsole.log("tool", require("fs").readFileSync(__dirname + "/built", "utf8"));\n' >tool/cli.js
chmod +x tool/cli.js
(cd greeter && npm pack --silent)
(cd tool && npm pack --silent)
cd app
echo '{"name": "app", "version": "0.0.1", "scripts": {"start": "tool && node main.js"}}' >package.json
echo 'console.log(require("greeter")("room"));' >main.js
npm install --offline --silent ../greeter/greeter-1.0.0.tgz ../tool/tool-2.0.0.tgz
npm run --silent start
npm ls --parseable --silent | sed 's,.*/,,' | sort
