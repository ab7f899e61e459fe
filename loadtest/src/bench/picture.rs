//! Ratios as a picture: a bar for each, with its gate and its aim. Colours are chosen to be read on
//! white and on black, as those of `network/picture`.

use std::fmt::Write as _;

const WIDTH: f64 = 920.0;
/// Where bars begin and end.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 58.0;
/// From one bar to the next.
const STEP: f64 = 26.0;
const BAR: f64 = 14.0;
const OURS: &str = "#3b82f6";
const OTHERS: &str = "#7d838c";
const GATE: &str = "#e5484d";
const AIM: &str = "#16a34a";
const TEXT: &str = "#7d838c";

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) ratio: f64,
    /// Gate and aim; none: somebody else's, measured elsewhere.
    pub(super) marks: Option<(f64, f64)>,
}

/// The bars one below the other. An SVG.
pub(super) fn picture(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.ratio).fold(2.0, f64::max).ceil();
    let x = |ratio: f64| LEFT + ratio / most * (WIDTH - LEFT - RIGHT);
    let bottom = bars.iter().fold(TOP, |bottom, _| bottom + STEP);
    let height = bottom + 28.0;
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' \
         font-family='system-ui,sans-serif' font-size='12' fill='{TEXT}'>\n<title>{title}</title>\n\
         <text x='12' y='18' font-size='14' font-weight='600'>{title}</text>\n"
    );
    // A String takes all that is written: the results below say nothing.
    let mut whole = 0.0;
    while whole <= most {
        let at = x(whole);
        let _ = writeln!(
            svg,
            "<line x1='{at:.0}' x2='{at:.0}' y1='{}' y2='{bottom}' stroke='{TEXT}' stroke-opacity='.25'/>\n\
             <text x='{at:.0}' y='{:.0}' text-anchor='middle'>{whole:.0}</text>",
            TOP - 8.0,
            bottom + 18.0
        );
        whole += 1.0;
    }
    let legend = [(OURS, "Plenum"), (OTHERS, "others, measured elsewhere")];
    for (place, (colour, label)) in (0_u8..).zip(legend) {
        let at = LEFT + f64::from(place) * 90.0;
        let _ = writeln!(
            svg,
            "<rect x='{at}' y='28' width='12' height='12' fill='{colour}'/>\
             <text x='{}' y='38'>{label}</text>",
            at + 18.0
        );
    }
    for (place, (colour, label)) in (0_u8..).zip([(AIM, "aim"), (GATE, "gate")]) {
        let at = LEFT + 310.0 + f64::from(place) * 60.0;
        let _ = writeln!(
            svg,
            "<line x1='{at}' x2='{at}' y1='26' y2='42' stroke='{colour}' stroke-width='2'/>\
             <text x='{}' y='38'>{label}</text>",
            at + 6.0
        );
    }
    let mut top = TOP;
    for bar in bars {
        draw(&mut svg, bar, top, &x);
        top += STEP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, bar: &Bar, top: f64, x: &impl Fn(f64) -> f64) {
    let Bar { name, ratio, marks } = bar;
    let colour = if marks.is_some() { OURS } else { OTHERS };
    let end = x(*ratio);
    let _ = writeln!(
        svg,
        "<text x='{}' y='{:.0}' text-anchor='end'>{name}</text>\
         <rect x='{LEFT}' y='{top:.0}' width='{:.1}' height='{BAR}' fill='{colour}'/>\
         <text x='{:.0}' y='{:.0}'>{ratio:.2}</text>",
        LEFT - 8.0,
        top + 11.0,
        end - LEFT,
        end + 12.0,
        top + 11.0
    );
    let Some((gate, aim)) = *marks else { return };
    for (mark, colour) in [(aim, AIM), (gate, GATE)] {
        let _ = writeln!(
            svg,
            "<line x1='{0:.1}' x2='{0:.1}' y1='{1:.0}' y2='{2:.0}' stroke='{colour}' stroke-width='2'/>",
            x(mark),
            top - 3.0,
            top + BAR + 3.0
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_bar_is_of_a_larger_ratio_and_only_ours_have_marks() {
        let bar = |name: &str, ratio, marks| Bar {
            name: name.to_owned(),
            ratio,
            marks,
        };
        let ours = bar("ours", 1.5, Some((1.5, 1.2)));
        let svg = picture("ratios", &[ours, bar("theirs", 6.0, None)]);
        let widths: Vec<f64> = svg
            .split("<rect x='190'")
            .skip(2)
            .filter_map(|rest| {
                rest.split_once("width='")?
                    .1
                    .split_once('\'')?
                    .0
                    .parse()
                    .ok()
            })
            .collect();
        assert_eq!(widths, [165.0, 660.0]);
        // The legend's and one of each.
        assert_eq!(svg.matches(GATE).count(), 2);
    }
}
