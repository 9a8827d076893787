// Bundles what browsers get: modules, styles and drawings, each under a name with the hash of its content.
//
//   node playback_portal/web/build.mjs           build into playback_portal/static/
//   node playback_portal/web/build.mjs --watch   build again at every change
//
// Rules: a module in this folder that no other imports is an entry (main.ts, player.ts); the rest is
// part of whoever imports it. All styles become main.css: tokens first, then app, then by name.
// manifest.json tells the portal the hashed name of each file, and which chunks an entry needs.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, watch, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const WEB = dirname(fileURLToPath(import.meta.url));
const STATIC = join(WEB, "..", "static");
const STYLES_FIRST = ["tokens.css", "app.css"];
// Below this a compressed copy saves less than the header that announces it.
const COMPRESSED_BYTES_MIN = 1024;
const COPIED = /\.svg$/;

function entries() {
  const modules = readdirSync(WEB).filter((name) => /(?<!\.d)\.ts$/.test(name));
  const imported = new Set();
  for (const name of modules) {
    for (const [, path] of readFileSync(join(WEB, name), "utf8").matchAll(/(?:from|import)\s*\(?\s*"\.\/([\w-]+)(?:\.[jt]s)?"/g)) {
      imported.add(`${path}.ts`);
    }
  }
  return modules.filter((name) => !imported.has(name)).map((name) => join(WEB, name));
}

function styles() {
  const all = readdirSync(WEB).filter((name) => name.endsWith(".css")).sort();
  const ordered = [...STYLES_FIRST, ...all.filter((name) => !STYLES_FIRST.includes(name))];
  return ordered.map((name) => `@import "./${name}";`).join("\n");
}

// light-dark() must reach browsers as it is written, so that styles are lowered for none.
const SHARED = { bundle: true, minify: true, write: false, metafile: true, logLevel: "warning", absWorkingDir: WEB };

async function bundle() {
  const scripts = await build({
    ...SHARED,
    entryPoints: entries(),
    outdir: STATIC,
    format: "esm",
    splitting: true,
    target: ["es2022"],
    entryNames: "[name]-[hash]",
    chunkNames: "part-[hash]",
    legalComments: "eof",
  });
  const style = await build({
    ...SHARED,
    stdin: { contents: styles(), resolveDir: WEB, loader: "css", sourcefile: "main.css" },
    outfile: join(STATIC, "main.css"),
    target: ["esnext"],
  });
  return { scripts, style };
}

function hashed(name, contents) {
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 10);
  return name.replace(/(\.\w+)$/, `-${hash}$1`);
}

function collect({ scripts, style }) {
  const files = new Map();
  const manifest = { assets: {}, parts: {} };
  for (const output of scripts.outputFiles) files.set(output.path.slice(STATIC.length + 1), output.contents);
  for (const [path, output] of Object.entries(scripts.metafile.outputs)) {
    if (output.entryPoint === undefined) continue;
    const asset = output.entryPoint.replace(/\.ts$/, ".js");
    manifest.assets[asset] = path.split("/").at(-1);
    manifest.parts[asset] = output.imports.filter((each) => each.kind === "import-statement").map((each) => each.path.split("/").at(-1));
  }
  const copied = readdirSync(WEB).filter((name) => COPIED.test(name));
  const plain = [["main.css", style.outputFiles[0].contents], ...copied.map((name) => [name, readFileSync(join(WEB, name))])];
  for (const [name, contents] of plain) {
    manifest.assets[name] = hashed(name, contents);
    files.set(manifest.assets[name], contents);
  }
  return { files, manifest };
}

// The manifest comes last and in one step: a portal that starts meanwhile sees the old build or the new.
function write({ files, manifest }) {
  mkdirSync(STATIC, { recursive: true });
  const kept = new Set(["manifest.json"]);
  for (const [name, contents] of files) {
    kept.add(name);
    writeFileSync(join(STATIC, name), contents);
    if (contents.length < COMPRESSED_BYTES_MIN) continue;
    for (const [ending, compress] of [["br", brotliCompressSync], ["gz", gzipSync]]) {
      kept.add(`${name}.${ending}`);
      writeFileSync(join(STATIC, `${name}.${ending}`), compress(contents));
    }
  }
  writeFileSync(join(STATIC, "manifest.json.new"), JSON.stringify(manifest, null, 1));
  renameSync(join(STATIC, "manifest.json.new"), join(STATIC, "manifest.json"));
  for (const name of readdirSync(STATIC)) if (!kept.has(name)) rmSync(join(STATIC, name), { force: true });
}

function told(files) {
  const kilobytes = (data) => `${(data.length / 1000).toFixed(1)} kB`;
  return [...files].map(([name, data]) => `  ${name}  ${kilobytes(data)}, ${kilobytes(brotliCompressSync(data))} compressed`).join("\n");
}

async function once() {
  const began = performance.now();
  const built = collect(await bundle());
  write(built);
  console.log(`Bundled ${built.files.size} files in ${Math.round(performance.now() - began)} ms\n${told(built.files)}`);
}

await once();
if (process.argv.includes("--watch")) {
  let waiting;
  watch(WEB, () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => once().catch((error) => console.error(error.message)), 100);
  });
}
