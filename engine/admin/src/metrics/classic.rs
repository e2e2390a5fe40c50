//! The text format of before OpenMetrics, for who reads nothing else: a counter is named as its samples are, and there are no units and no
//! end.

/// Rewrites OpenMetrics as what it was before.
pub(super) fn rewritten(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1_024);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        // What a family is comes after what it means.
        if let Some(help) = line.strip_prefix("# HELP ")
            && let Some(kind) = lines.peek().and_then(|next| next.strip_prefix("# TYPE "))
            && let (Some((name, help)), Some((_, kind))) =
                (help.split_once(' '), kind.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            out.push_str(&format!(
                "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"
            ));
            lines.next();
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::rewritten;

    #[test]
    fn counters_are_named_as_their_samples_and_there_is_no_end() {
        let text = "# HELP a_seconds What a is.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n\
            # HELP b What b is.\n# TYPE b counter\nb_total{x=\"# EOF\"} 2\n\
            # HELP c What c is.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        assert_eq!(
            rewritten(text),
            "# HELP a_seconds What a is.\n# TYPE a_seconds gauge\na_seconds 1\n\
            # HELP b_total What b is.\n# TYPE b_total counter\nb_total{x=\"# EOF\"} 2\n\
            # HELP c_info What c is.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n"
        );
    }
}
