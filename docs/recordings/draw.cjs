// Draws the first lines of a recording (asciicast 2) as an SVG that moves, by the package svg-term:
// `node draw.cjs FROM.cast LINES TO.svg`. What it adds: long pauses are cut, the last picture stays, and where nobody
// wants motion it is the only one.
'use strict';

const { execFileSync } = require('node:child_process');
const { readFileSync, writeFileSync, rmSync } = require('node:fs');

const LONGEST_PAUSE_S = 2;
const LAST_PICTURE_S = 4;
// Pictures a second: more than that nobody sees, and each is drawn whole.
const PICTURES_PER_S = 8;

const [from, told, to] = process.argv.slice(2);
const [head, ...lines] = readFileSync(from, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const { version, width, height } = head;

const kept = lines.slice(0, Number(told) - 1);

let [now, before] = [0, kept[0][0]];
const pictures = [];
for (const [at, kind, data] of kept) {
    now += Math.min(at - before, LONGEST_PAUSE_S);
    before = at;
    const moment = Math.ceil(now * PICTURES_PER_S) / PICTURES_PER_S;
    const last = pictures.at(-1);
    if (last && last[0] === moment) last[2] += data;
    else pictures.push([moment, kind, data]);
}
pictures.push([pictures.at(-1)[0] + LAST_PICTURE_S, 'o', '\x1b[m']);

const trimmed = `${to}.cast`;
writeFileSync(trimmed, [{ version, width, height }, ...pictures].map((it) => JSON.stringify(it)).join('\n'));
execFileSync('svg-term', ['--in', trimmed, '--out', to, '--window', '--width', width, '--height', height]);
rmSync(trimmed);

let svg = readFileSync(to, 'utf8');
const moves = svg.match(/animation-name:([\w-]+)/)[1];
const last = [...svg.matchAll(/translateX\((-[\d.]+px)\)/g)].at(-1)[1];
const still = `[style*="animation-name:${moves}"]{animation:none!important;transform:translateX(${last})}`;
svg = svg.replace(/(<svg[^>]*>)/, `$1<style>@media (prefers-reduced-motion:reduce){${still}}</style>`);
writeFileSync(to, svg);
console.log(`${to}: ${pictures.length} pictures, ${Math.round(now)} s, ${Math.round(svg.length / 1024)} KiB`);
