//! The text of a scenario: blocks of commands, each with the output it should have.

/// Commands up to the next expected output, or blank line.
pub(crate) struct Block {
    /// The text of the block as it stands, without its output.
    pub(crate) text: String,
    /// The commands with their line numbers.
    pub(crate) commands: Vec<(usize, String)>,
    /// Whether a line `----` was there.
    pub(crate) expects: bool,
    /// The blank lines behind it.
    pub(crate) after: String,
}

/// Cuts a scenario into blocks. A line of `----` begins the expected output, a blank line ends
/// it; `#` begins a comment.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(text.lines()).peekable();
    while lines.peek().is_some() {
        let mut block = Block {
            text: String::new(),
            commands: Vec::new(),
            expects: false,
            after: String::new(),
        };
        while let Some((number, line)) = lines.next_if(|(_, line)| !line.trim().is_empty()) {
            if line.trim() == "----" {
                block.expects = true;
            } else if !block.expects {
                block.text.push_str(line);
                block.text.push('\n');
                let command = line.split('#').next().unwrap_or_default().trim();
                if !command.is_empty() {
                    block.commands.push((number, command.to_owned()));
                }
            }
        }
        while lines.next_if(|(_, line)| line.trim().is_empty()).is_some() {
            block.after.push('\n');
        }
        blocks.push(block);
    }
    blocks
}
