"""The style sheet of the report page: readable on a phone, on paper and in the dark."""

STYLE = """
:root{color-scheme:light dark;--back:#fbfbfa;--card:#fff;--ink:#1c2024;--soft:#5f6871;--line:#e2e5e9;--edge:#d3d8de;
--s1:#0969c8;--s2:#d9730d;--s3:#6b46c1;--gain:#1a7f4b;--loss:#c9302c;
--q0:#c9302c;--q1:#f0a35e;--q2:#93c2ea;--q3:#1f6fb5}
@media (prefers-color-scheme:dark){:root{--back:#14171a;--card:#1d2125;--ink:#e8eaed;--soft:#9aa4ae;--line:#2c3238;
--edge:#363d44;--s1:#5aa9f5;--s2:#f2a154;--s3:#b79df5;--gain:#4cc38a;--loss:#f2706b;
--q0:#e5534b;--q1:#c98a4b;--q2:#3f6d96;--q3:#6db5f7}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:1120px;margin:0 auto;padding:20px 14px 60px}
h1{font-size:1.45rem;line-height:1.25;margin:0 0 4px}
h2{font-size:1.1rem;margin:36px 0 10px}
h3{font-size:.95rem;margin:0 0 2px}
p{margin:4px 0 8px}
.soft,figcaption,summary{color:var(--soft);font-size:.86rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(135px,1fr));gap:10px;margin:18px 0}
.tile,figure{background:var(--card);border:1px solid var(--edge);border-radius:10px;padding:10px 12px;margin:0}
.tile b{display:block;font-size:1.45rem;line-height:1.3;font-variant-numeric:tabular-nums}
.tile small{display:block;color:var(--soft);font-size:.8rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:12px;align-items:start}
.scroll{overflow-x:auto;overflow-wrap:normal;margin:10px 0}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:4px 12px 4px 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:500}
th:first-child,td:first-child{text-align:left}
td.wide{white-space:normal;text-align:left;overflow-wrap:anywhere}
.better,.tile .better{color:var(--gain)}.worse,.tile .worse{color:var(--loss)}
.bar{display:flex;height:22px;border-radius:6px;overflow:hidden;margin:8px 0;background:var(--line)}
.bar i{min-width:2px}
.key{display:inline-block;margin-right:14px;font-size:.82rem;color:var(--soft)}
.key i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:5px}
i.s1,i.processed{background:var(--s1)}i.s2,i.replaced{background:var(--s2)}i.s3,i.unpaired{background:var(--s3)}
i.loss,i.refused{background:var(--loss)}i.gain{background:var(--gain)}i.unanswered{background:var(--soft)}
i.band{background:var(--s1);opacity:.35}
i.q0{background:var(--q0)}i.q1{background:var(--q1)}i.q2{background:var(--q2)}i.q3{background:var(--q3)}
svg{display:block;width:100%;height:auto;margin-top:4px}
svg text{fill:var(--soft);font:11.5px system-ui,sans-serif}
svg text.on{fill:var(--ink);paint-order:stroke;stroke:var(--card);stroke-width:3px}
svg text.row{font-size:8.5px}
svg path{fill:none}
path.grid{stroke:var(--line)}path.axis{stroke:var(--soft)}
path.s1,path.s2,path.s3{stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
path.s1{stroke:var(--s1)}path.s2{stroke:var(--s2)}path.s3{stroke:var(--s3)}
path.dot{stroke-width:3.6}path.bridge{stroke-width:1;opacity:.45}
svg path.bar{fill:var(--s1)}
path.rule{stroke:var(--ink);stroke-dasharray:3 3;opacity:.75}
path.gain{stroke:var(--gain)}path.loss{stroke:var(--loss)}
rect.band{fill:var(--s1);opacity:.3}
rect.q0{fill:var(--q0)}rect.q1{fill:var(--q1)}rect.q2{fill:var(--q2)}rect.q3{fill:var(--q3)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,200px),1fr));gap:8px;margin-top:6px}
.pair img{display:block;width:100%;height:auto;border-radius:6px}
@media print{figure,.tile{break-inside:avoid}}
"""
