// The style of a report's page: one column, light and dark as the reader's system is, light on
// paper.
#pragma once

namespace dyad::client {

inline constexpr char kReportStyle[] = R"css(
:root{color-scheme:light dark;--paper:#fff;--ink:#1a1a1a;--dim:#5c5c5c;--rule:#d4d4d4;--wrong:#b9643c;
--right:#0072b2;--tie:#6b6b6b;--s0:#0072b2;--s1:#d55e00;--s2:#00795a;--s3:#a3477d;--heat:204,85,0}
@media (prefers-color-scheme:dark){:root{--paper:#16181b;--ink:#e6e6e6;--dim:#a3a3a3;--rule:#3d4147;
--wrong:#e0915f;--right:#56b4e9;--tie:#b5b5b5;--s0:#56b4e9;--s1:#f0a04b;--s2:#4fc99f;--s3:#e39cc4;--heat:240,140,60}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}h2{font-size:1.25rem;margin:2.2rem 0 .4rem;border-top:1px solid var(--rule);padding-top:1rem}
h3{font-size:1.05rem;margin:1.4rem 0 .3rem}
h1,h2,h3,p,td,th,figcaption,li{overflow-wrap:anywhere}
p{margin:.4rem 0}.dim,caption,figcaption{color:var(--dim)}
figure{margin:1rem 0;break-inside:auto}figcaption,caption{text-align:left;font-size:.9rem;padding:.2rem 0}
table{border-collapse:collapse;width:100%;margin:.6rem 0 1.2rem;font-size:.87rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.2rem .5rem .2rem 0;border-bottom:1px solid var(--rule);font-weight:400}
table.narrow{width:auto}table.narrow th,table.narrow td{padding-left:1.5rem}
thead th{font-weight:600;border-bottom:1.5px solid var(--dim)}
.n{text-align:right}td.n{white-space:nowrap}thead th{overflow-wrap:normal}
th[scope=row]:not(.n){min-width:5.8rem}
code{font:.85em/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
.quote{border-left:3px solid var(--s0);padding-left:.8rem}
svg{display:block}svg text{fill:var(--dim);font-size:11px}.axis text{text-anchor:middle}
svg.key{display:inline-block;vertical-align:-2px;margin-right:.3rem}
line,path.grid,path.chance{stroke:var(--rule);fill:none}line.grid,path.grid{stroke-width:1}
line.chance,path.chance{stroke:var(--dim);stroke-dasharray:3 3}
line.base{stroke:var(--dim);stroke-width:1.5}path.base{fill:var(--paper);stroke:var(--dim);stroke-width:1.5}
line.s0{stroke:var(--s0);stroke-width:2.5}line.s1{stroke:var(--s1);stroke-width:2.5}
line.s2{stroke:var(--s2);stroke-width:2.5}line.s3{stroke:var(--s3);stroke-width:2.5}
circle.s0{fill:var(--s0)}path.s1{fill:var(--s1)}path.s2{fill:var(--s2)}path.s3{fill:var(--s3)}
.wrong{fill:var(--wrong)}.right{fill:var(--right)}.tie{fill:var(--tie)}
.dot{display:grid;grid-template-columns:minmax(0,2fr) minmax(0,3fr);gap:0 .6rem;align-items:center;font-size:.87rem;break-inside:avoid}
.dot>span{text-align:right;overflow-wrap:anywhere;line-height:1.25}
.dot>svg{overflow:visible}
.dot.group>span{font-weight:600;margin-top:.7rem}.dot.group{break-after:avoid}
.scatter{max-width:24rem;width:100%;height:auto}
.strip{line-height:1.2;break-inside:avoid}.strip .item{display:inline-block;min-width:2.2rem;color:var(--dim);font-size:.8rem}
.word{display:inline-block;max-width:100%;overflow-wrap:anywhere;padding:.15rem .3rem;margin:0 1px 4px 0;border-radius:3px;
vertical-align:top;print-color-adjust:exact;-webkit-print-color-adjust:exact}
.word small{display:block;font-size:.72rem;color:var(--dim);font-variant-numeric:tabular-nums}
.w0{background:rgba(var(--heat),.04)}.w1{background:rgba(var(--heat),.1)}.w2{background:rgba(var(--heat),.17)}
.w3{background:rgba(var(--heat),.24)}.w4{background:rgba(var(--heat),.31)}.w5{background:rgba(var(--heat),.38)}
.w6{background:rgba(var(--heat),.45)}.w7{background:rgba(var(--heat),.53)}.w8{background:rgba(var(--heat),.61)}.w9{background:rgba(var(--heat),.7)}
.w5 small,.w6 small,.w7 small,.w8 small,.w9 small{color:inherit}
@media (max-width:40rem){.dot{grid-template-columns:minmax(0,1fr)}.dot>span{text-align:left;margin-top:.35rem}}
@media screen and (max-width:56rem){table.stacks thead{position:absolute;left:-99rem}table.stacks tr{display:block;border-bottom:1.5px solid var(--dim);padding:.3rem 0}
table.stacks th,table.stacks td{display:inline-block;max-width:100%;border:0;padding:.05rem 1.1rem .05rem 0;text-align:left}
table.stacks th[scope=row]{display:block;font-weight:600}
table.stacks td::before{content:attr(data-title) ": ";color:var(--dim)}
table.stacks td:empty{display:none}}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--dim:#444;--rule:#bbb;--wrong:#b9643c;--right:#0072b2;--tie:#6b6b6b;
--s0:#0072b2;--s1:#d55e00;--s2:#00795a;--s3:#a3477d;--heat:204,85,0}
@page{margin:16mm}main{max-width:none;padding:0}tr{break-inside:avoid}h2,h3,caption,figcaption,thead{break-after:avoid}body{font-size:10pt}
table{font-size:8.5pt}table.stacks{font-size:7.5pt}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
)css";

}  // namespace dyad::client
