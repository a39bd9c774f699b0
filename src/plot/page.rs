//! A page of charts and tables that stands alone: no script, no font, nothing fetched.
//!
//! Readable on a phone (wide parts scroll), in print and in the dark; every chart has a name and
//! a description, and every text from outside is escaped.

use std::fmt::Write as _;

use super::{Chart, Colour, Shape, Table, escape, style, symbol};

/// The style of a page, over the colours of [`style`].
const STYLE: &str = "\
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:66rem;background:var(--page);\
color:var(--ink);font:1rem/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.2rem;line-height:1.3;\
margin:2.4rem 0 .4rem}h3{font-size:1rem;margin:1.2rem 0 .2rem;font-weight:600}\
p{margin:.4rem 0;max-width:46rem}.soft,figcaption{color:var(--soft);font-size:.9rem}\
figcaption{max-width:46rem}.scroll{overflow-x:auto}figure{margin:.6rem 0}\
figure svg{display:block;width:100%;height:auto}figure.wide svg{min-width:46rem}\
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,25rem),1fr));\
gap:.4rem 2rem;align-items:start}\
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\
th,td{padding:.3rem .5rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}\
th:first-child,td:first-child{text-align:left;padding-left:0}th{font-weight:600}\
table.two td:nth-child(2),table.two th:nth-child(2),\
table.three td:nth-child(3),table.three th:nth-child(3){text-align:left}\
table.dense{font-size:.8rem}table.dense th,table.dense td{padding:.3rem .35rem}\
table.dense th:first-child,table.dense td:first-child{padding-left:0}tr.own td{font-weight:600}.key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;padding:0;\
margin:.3rem 0;list-style:none;font-size:.9rem}.key i{display:inline-block;width:1.1rem;\
height:.7rem;margin-right:.4rem;border-radius:2px}.key svg{width:1rem;height:1rem;\
margin-right:.3rem;vertical-align:-.15rem}\
ol.misses{padding-left:1.6rem;max-width:52rem}ol.misses li{margin:.6rem 0}\
ol.misses b{font-weight:600}ol.misses li::marker{font-weight:600;color:var(--short)}\
@media print{body{max-width:none;padding:0;font-size:.85rem}h2,h3{break-after:avoid}\
figure,table,li{break-inside:avoid}figure.wide svg{min-width:0}.scroll{overflow:visible}\
table{font-size:.62rem}th,td{padding:.15rem .25rem}.grid{grid-template-columns:1fr 1fr}}";

/// The whole page around its body, which is HTML already.
pub fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{}</title>\n<style>{}{STYLE}</style>\n</head>\n<body>\n<main>\n\
         {body}</main>\n</body>\n</html>\n",
        escape(title),
        style()
    )
}

/// What a reader must know of the figures, under its heading.
pub fn notes(body: &mut String, notes: &[String]) {
    body.push_str("<h2>What to know about these figures</h2>\n");
    for note in notes {
        let _ = writeln!(body, "<p>{}</p>", escape(note));
    }
}

/// A chart in the page. A wide one scrolls on a narrow screen.
pub fn figure(body: &mut String, chart: &Chart, caption: &str) {
    let class = if chart.width >= 900 {
        " class=\"wide\""
    } else {
        ""
    };
    let _ = write!(
        body,
        "<figure{class}><div class=\"scroll\">{}</div>",
        chart.svg()
    );
    if !caption.is_empty() {
        let _ = write!(body, "<figcaption>{}</figcaption>", escape(caption));
    }
    body.push_str("</figure>\n");
}

/// What the colours of a chart stand for.
pub fn key<'a>(body: &mut String, entries: impl IntoIterator<Item = (Colour, &'a str)>) {
    body.push_str("<ul class=\"key\">");
    for (colour, text) in entries {
        let _ = write!(
            body,
            "<li><i style=\"background:var(--{})\"></i>{}</li>",
            colour.name(),
            escape(text)
        );
    }
    body.push_str("</ul>\n");
}

/// What the points of a chart stand for.
pub fn point_key<'a>(
    body: &mut String,
    entries: impl IntoIterator<Item = (Colour, Shape, &'a str)>,
) {
    body.push_str("<ul class=\"key\">");
    for (colour, shape, text) in entries {
        let _ = write!(body, "<li>{}{}</li>", symbol(colour, shape), escape(text));
    }
    body.push_str("</ul>\n");
}

/// A table; the first `own_rows` stand out, the first `names` columns are words.
pub fn table(body: &mut String, table: &Table, caption: &str, own_rows: usize, names: usize) {
    let mut class = String::new();
    if names > 1 {
        class.push_str("two ");
    }
    if names > 2 {
        class.push_str("three ");
    }
    // many columns stand closer, so that a screen holds them
    if table.head.len() > 7 {
        class.push_str("dense");
    }
    let _ = write!(
        body,
        "<div class=\"scroll\"><table class=\"{class}\" aria-label=\"{}\"><thead><tr>",
        escape(caption)
    );
    for cell in &table.head {
        let _ = write!(body, "<th scope=\"col\">{}</th>", escape(cell));
    }
    body.push_str("</tr></thead><tbody>\n");
    for (index, row) in table.rows.iter().enumerate() {
        body.push_str(if index < own_rows {
            "<tr class=\"own\">"
        } else {
            "<tr>"
        });
        for cell in row {
            let _ = write!(body, "<td>{}</td>", escape(cell));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table></div>\n");
}
